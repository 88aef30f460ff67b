"""How much time train_transfer.py saves: it beside the plain way, one after the other.

    python benchmarks/transfer_speed.py --data my_photos/

The backbone is a ResNet50 with random weights: what it learnt does not change the time. Times are
those of whole processes, from start to exit. The first run starts with nothing kept, in a copy of
the project; the second one trains another head. Nothing else should run on the machine.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
VIEWS, EPOCHS = 4, 20


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        ignored = shutil.ignore_patterns(".*", "data", "outputs", "tests", "docs")
        shutil.copytree(PROJECT, copy, ignore=ignored)
        transfer = (
            *(copy / "train_transfer.py", "--data", arguments.data.resolve()),
            *("--weights", "none", "--views", VIEWS, "--epochs", EPOCHS),
        )
        seconds = {"train_transfer.py, first run": measure(*transfer)}
        (run,) = (copy / "outputs").glob("*-transfer-*")
        second = measure(*transfer, "--learning-rate", 3e-4, "--batch-size", 64)
        seconds["train_transfer.py, another head"] = second
        for precision in arguments.precisions:
            plain = (
                *(copy / "benchmarks" / "plain_transfer.py", run, "--data", arguments.data),
                *("--epochs", EPOCHS, "--precision", precision),
            )
            seconds[f"the plain way, {precision}"] = measure(*plain)
    first = seconds["train_transfer.py, first run"]
    print(f"\n{'':34}{'seconds':>8}  {'times the first run':>20}  {'times the second':>17}")
    for name, value in seconds.items():
        print(f"{name:34}{value:8.0f}  {value / first:20.1f}  {value / second:17.1f}")


def measure(*command) -> float:
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
    parser.add_argument(
        "--precisions",
        nargs="+",
        default=["float32"],
        help="of the plain way (default: float32, which is what Keras does by itself)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
