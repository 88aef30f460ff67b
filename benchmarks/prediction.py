"""What an answer costs: predict.py beside the plain way, process for process.

    python benchmarks/prediction.py RUN --photos my_photos/ --count 1
    python benchmarks/prediction.py RUN --photos my_photos/ --count 1000

The plain way imports Keras, loads best.keras, decodes with `keras.utils.load_img` and predicts in
batches of 32. Both sides take turns. Prints medians of processor seconds (user and system), of
seconds on the clock and of peak memory, and predict.py's share of the plain way's. Nothing else
should run on the machine. Not for Windows.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the package

from vision101.files import PROJECT_FOLDER
from vision101.photos.index import list_files

PLAIN = """
import sys
import keras
import numpy as np
model = keras.saving.load_model(sys.argv[1])
size, paths = int(sys.argv[2]), open(sys.argv[3]).read().splitlines()
for start in range(0, len(paths), 32):
    batch = paths[start : start + 32]
    images = [keras.utils.load_img(path, target_size=(size, size)) for path in batch]
    for row in model.predict(np.stack(images).astype('float32'), verbose=0):
        print(row.argmax(), row.max())
"""


def main() -> None:
    arguments = parse_arguments()
    paths = [path.resolve() for path in list_files(arguments.photos) if path.suffix == ".jpg"]
    step = max(1, len(paths) // arguments.count)
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder) / "names.txt"
        names.write_text("\n".join(map(str, paths[::step][: arguments.count])))
        run = str(arguments.run.resolve())
        commands = {
            "predict.py": (PROJECT_FOLDER / "predict.py", "--run", run, f"@{names}"),
            "plain": ("-c", PLAIN, f"{run}/best.keras", arguments.image_size, names),
        }
        measured = {side: [] for side in commands}
        for _ in range(arguments.repeats):
            for side, command in commands.items():
                measured[side].append(measure(*command))
    medians = {
        side: [statistics.median(values) for values in zip(*rows, strict=True)]
        for side, rows in measured.items()
    }
    print(f"{'':12}{'processor s':>12}{'clock s':>10}{'peak MB':>10}")
    for side, (processor, clock, memory) in medians.items():
        print(f"{side:12}{processor:12.2f}{clock:10.2f}{memory:10.0f}")
    shares = [mine / plain for mine, plain in zip(*medians.values(), strict=True)]
    print(f"{'share':12}{shares[0]:12.3f}{shares[1]:10.3f}{shares[2]:10.3f}")


def measure(*command) -> tuple[float, float, float]:
    """Run a Python script and return its processor seconds, seconds, and peak memory in MB."""
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"{command[0]}: ended with status {status}")
    scale = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
    return usage.ru_utime + usage.ru_stime, seconds, usage.ru_maxrss / scale


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--photos", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--image-size", type=int, default=128, help="of the run (default: 128)")
    parser.add_argument("--count", type=int, default=1, help="of photos (default: 1)")
    parser.add_argument("--repeats", type=int, default=5, help="default: 5")
    return parser.parse_args()


if __name__ == "__main__":
    main()
