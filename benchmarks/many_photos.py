"""What many photos cost: memory, and CPU time a photo, of train_cnn.py and of what comes before.

    python benchmarks/many_photos.py 2000 20000 200000
    python benchmarks/many_photos.py 100 200 --epochs 2      to try it

Paints so many small photos, which show nothing, in ten classes, and has the base network learn them
in a copy of the project. The first epoch, in which TensorFlow prepares itself, does not count.
Memory is the peak of the process, with what it shares with others.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

PROJECT = Path(__file__).resolve().parents[1]
CLASSES, SIZE = 10, 64

# Times what comes before training, in CPU seconds: with nothing kept, and with the index kept.
BEFORE = """
import sys, time
from pathlib import Path
from vision101.photos.index import index_photos
from vision101.photos.sources import find_photos
from vision101.photos.split import group_photos, split_photos

source, data = find_photos(sys.argv[1]), Path(sys.argv[2])
times = [time.process_time()]
for step in (
    lambda: index_photos(source, data),
    lambda: globals().update(photos=index_photos(source, data)),
    lambda: globals().update(groups=group_photos(photos)),
    lambda: split_photos(photos, 0, None, groups),
):
    step()
    times.append(time.process_time())
print(*(after - before for before, after in zip(times, times[1:])))
"""


def main() -> None:
    arguments = parse_arguments()
    print(
        "CPU microseconds for each photo; photos that an epoch trains on in a second; peak memory"
    )
    columns = ("index", "index kept", "duplicates", "split", "all of train_cnn.py", "epoch")
    headings = ("photos", *columns, "photos/s", "MB")
    print(" | ".join(headings), flush=True)
    for number in arguments.photos:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            measured = measure(Path(folder), number, arguments.epochs)
        cells = (f"{value:{len(name)}.0f}" for name, value in zip(headings, measured, strict=True))
        print(" | ".join(cells), flush=True)


def measure(folder: Path, number: int, epochs: int) -> list[float]:
    """Return what a row of the table shows."""
    photos, copy = folder / "photos", folder / "project"
    with ProcessPoolExecutor() as pool:
        list(pool.map(paint_class, [(photos, seed, number // CLASSES) for seed in range(CLASSES)]))
    ignored = shutil.ignore_patterns(".*", "data", "outputs", "tests", "docs")
    shutil.copytree(PROJECT, copy, ignore=ignored)
    before = [sys.executable, "-c", BEFORE, str(photos), str(folder / "data")]
    told = subprocess.run(before, cwd=copy, check=True, stdout=subprocess.PIPE, text=True).stdout
    steps = [float(word) for word in told.splitlines()[-1].split()]

    flags = ("--data", photos, "--epochs", epochs, "--image-size", SIZE)
    process = subprocess.Popen(
        [sys.executable, "-u", copy / "train_cnn.py", *map(str, flags)],
        stdout=subprocess.PIPE,
        text=True,
    )
    output, ends = [], []
    for line in process.stdout:
        output.append(line)
        if line.startswith("Epoch "):
            ends.append((read_cpu_seconds(process.pid), time.perf_counter()))
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit("".join(output))
    trained = int(re.search("Trained on ([0-9,]+) photos", "".join(output))[1].replace(",", ""))
    (cpu_seconds, seconds) = (last - earlier for earlier, last in zip(*ends[-2:], strict=True))
    whole = used.ru_utime + used.ru_stime
    a_photo = [1e6 * value / number for value in (*steps, whole)]
    return [number, *a_photo, 1e6 * cpu_seconds / trained, trained / seconds, used.ru_maxrss / 1e3]


def paint_class(told: tuple[Path, int, int]) -> None:
    """Paint photos of one class, in which nothing resembles anything."""
    folder, seed, number = told
    folder = folder / f"class {seed}"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    for place in range(number):
        colours = generator.integers(256, size=(12, 12, 3), dtype=np.uint8)
        Image.fromarray(colours).resize((SIZE, SIZE)).save(folder / f"{place:06}.jpg")


def read_cpu_seconds(process: int) -> float:
    """Return what a process has taken so far (Linux)."""
    numbers = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, numbers[11:13])) / os.sysconf("SC_CLK_TCK")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=int, nargs="+", help="how many there are in each row")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument(
        "--folder", type=Path, help="where there is room (default: for temporaries)"
    )
    arguments = parser.parse_args()
    if arguments.epochs < 2:
        parser.error("--epochs: 2 or more, since the first one does not count")
    return arguments


if __name__ == "__main__":
    main()
