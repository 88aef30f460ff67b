"""How much time train_transfer.py saves: it beside the plain way, one after the other.

    python benchmarks/transfer_speed.py --data my_photos/
    python benchmarks/transfer_speed.py --data my_photos/ --image-size 32 --epochs 2    to try it

The backbone is a ResNet50 with random weights: what it learned does not change the time. The first
run starts with nothing kept, in a copy of the project; the second one trains another head. Prints
the seconds of each process, from start to exit, and how many times those of the first two runs that
is. Nothing else should run on the machine.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
FIRST, SECOND = "train_transfer.py, first run", "train_transfer.py, another head"


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        ignored = shutil.ignore_patterns(".*", "data", "outputs", "tests", "docs")
        shutil.copytree(PROJECT, copy, ignore=ignored)
        transfer = (
            *(copy / "train_transfer.py", "--data", arguments.data.resolve()),
            *("--weights", "none"),
            *("--epochs", arguments.epochs, "--image-size", arguments.image_size),
        )
        seconds = {FIRST: measure_seconds(*transfer)}
        (run,) = (copy / "outputs").iterdir()
        another_head = ("--batch-size", 64)
        seconds[SECOND] = measure_seconds(*transfer, *another_head)
        for precision in arguments.precisions:
            plain = (copy / "benchmarks" / "plain_transfer.py", run, "--precision", precision)
            seconds[f"the plain way, {precision}"] = measure_seconds(*plain)
    print(f"\n{'':34}{'seconds':>8}  {'times the first run':>20}  {'times the second':>17}")
    for name, value in seconds.items():
        first, second = value / seconds[FIRST], value / seconds[SECOND]
        print(f"{name:34}{value:8.0f}  {first:20.1f}  {second:17.1f}")


def measure_seconds(*command) -> float:
    """Run a Python script and return its seconds."""
    print(*command, flush=True)
    start = time.perf_counter()
    subprocess.run([sys.executable, *map(str, command)], check=True)  # its output is the progress
    return time.perf_counter() - start


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, metavar="PHOTOS")
    parser.add_argument("--image-size", type=int, default=224, help="default: 224")
    parser.add_argument("--epochs", type=int, default=20, help="default: 20")
    parser.add_argument(
        "--precisions",
        nargs="+",
        default=["float32"],
        help="of the plain way (default: float32, which is what Keras does by itself)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
