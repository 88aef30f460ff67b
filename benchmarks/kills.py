"""Kills scripts at random moments, and counts what survived.

    python benchmarks/kills.py                   50 kills of each script, an hour or two
    python benchmarks/kills.py --kills 5         a quick look

Each script works on a copy of the project and on painted photos. It is sent SIGKILL, SIGTERM or
Ctrl-C at a random moment; trainings are then resumed. The table says how often

- nothing that existed before had changed (the photos, and a finished run),
- the next start worked,
- a resumed training gave the same weights, `log.csv` and `predictions.csv` as an uninterrupted one
  (SIGKILL only: the other signals complete a run from its best epoch),
- no traceback was shown.

`download` is train_cnn.py on tf_flowers, which comes from a slow server on this machine and is
unpacked; it counts what the next start finds.
"""

import argparse
import hashlib
import http.server
import io
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path

from tqdm import tqdm

PROJECT = Path(__file__).resolve().parent.parent
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
TRAINING = ("--image-size", "32", "--epochs", "20")
SCRIPTS = {
    "train_cnn.py": ("--recipe", "augmented", "--data", "sample", *TRAINING),
    "train_transfer.py": (
        *("--data", "sample", "--backbone", "MobileNetV2", "--weights", "none"),
        *("--fine-tune", "10", *TRAINING),
    ),
    "predict.py": ("data/sample/roses",),
    "explore.py": ("--data", "sample", "--skip-labels"),
    "compare.py": (),
    "download": ("--data", "tf_flowers", *TRAINING),
}


class Workplace:
    """A copy of the project with the sample and a finished run in it."""

    def __init__(self, folder: Path, seed: int):
        self.folder, self.chance = folder / "project", random.Random(seed)
        ignored = shutil.ignore_patterns(".*", "tests", "docs", "__pycache__")
        shutil.copytree(PROJECT, self.folder, ignore=ignored)
        for name in ("data", "outputs"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir()
        self.run("train_cnn.py", *SCRIPTS["train_cnn.py"], "--output-dir", "finished")
        shutil.copytree(self.folder / "finished", self.folder / "outputs", dirs_exist_ok=True)

    def start(self, script: str, *flags: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, script, *flags],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, script: str, *flags: str) -> tuple[int, float]:
        """Return the exit code and the seconds of an uninterrupted start."""
        start = time.monotonic()
        process = self.start(script, *flags)
        process.communicate()
        return process.returncode, time.monotonic() - start

    def hash_what_exists(self) -> str:
        digest = hashlib.sha256()
        for part in ("data/sample", "finished", "outputs"):
            for path in sorted((self.folder / part).rglob("*")):
                if path.is_file():
                    digest.update(str(path).encode() + path.read_bytes())
        return digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scripts", nargs="+", choices=SCRIPTS, default=list(SCRIPTS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Workplace(Path(folder), arguments.seed)
        serve_flowers(place.folder)
        columns = ("kills", "unchanged", "started", "equal", "no traceback")
        print(f"{'':18}" + "".join(f"{column:>14}" for column in columns))
        for name in arguments.scripts:  # a row as soon as it is known: they take half an hour each
            counts = kill(place, name, arguments.kills)
            print(f"{name:18}" + "".join(f"{counts[column]:>14}" for column in columns), flush=True)


def kill(place: Workplace, name: str, kills: int) -> dict[str, str]:
    script = "train_cnn.py" if name == "download" else name
    training = name.startswith("train")
    flags = (*SCRIPTS[name], *(("--output-dir", "whole") if training else ()))
    _, seconds = place.run(script, *flags)
    for path in (place.folder / "outputs").glob("*-compare*"):
        shutil.rmtree(path)
    before = place.hash_what_exists()
    unchanged = started = equal = comparable = clean = 0
    for number in tqdm(range(kills), desc=name):
        if name == "download":
            shutil.rmtree(place.folder / "data" / "tf_flowers", ignore_errors=True)
        output = f"killed-{name}-{number}"
        flags = (*SCRIPTS[name], "--output-dir", output if name != "compare.py" else "outputs")
        if name == "predict.py":
            flags = SCRIPTS[name]
        process = place.start(script, *flags)
        time.sleep(place.chance.uniform(0.02, 0.95) * seconds)
        number = place.chance.choice(SIGNALS)
        process.send_signal(number)
        text, _ = process.communicate()
        traced = b"Traceback" in text
        clean += not traced
        if traced:
            tqdm.write(f"{name}, {number!r}:\n{text.decode(errors='replace')}")
        folders = [path.parent for path in (place.folder / output).glob("*/config.json")]
        resumable = training and folders and not (folders[0] / "report.html").exists()
        flags = ("--resume", str(folders[0])) if resumable else flags
        code, _ = place.run(script, *flags)
        started += code == 0
        if resumable and number == signal.SIGKILL:
            comparable += 1
            (whole,) = (place.folder / "whole").glob(
                f"*-{'cnn' if 'cnn' in name else 'transfer'}-*"
            )
            equal += all(
                (folders[0] / file).read_bytes() == (whole / file).read_bytes()
                for file in ("log.csv", "predictions.csv")
            )
        for path in (place.folder / "outputs").glob("*-compare*"):
            shutil.rmtree(path)
        unchanged += place.hash_what_exists() == before
        shutil.rmtree(place.folder / output, ignore_errors=True)
    return {
        "kills": str(kills),
        "unchanged": str(unchanged),
        "started": str(started),
        "equal": f"{equal} of {comparable}" if training else "-",
        "no traceback": str(clean),
    }


def serve_flowers(folder: Path) -> None:
    """Serve the sample as flower_photos.tgz, slowly, and let the copy of the project take it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(folder / "data" / "sample", "flower_photos", filter=_only_photos)

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(packed.getvalue())))
            self.end_headers()
            for start in range(0, len(packed.getvalue()), 1 << 18):
                self.wfile.write(packed.getvalue()[start : start + (1 << 18)])
                time.sleep(0.05)

        def do_HEAD(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    module = folder / "vision101" / "photos" / "sources.py"
    text = module.read_text(encoding="utf-8")
    address = f"http://127.0.0.1:{server.server_port}/flower_photos.tgz"
    patched = f'tf_flowers_dataset_builder._URL = "{address}"\n'
    module.write_text(_patch(text, patched), encoding="utf-8")


def _only_photos(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if member.name.endswith(".txt") else member


def _patch(text: str, patched: str) -> str:
    lines = text.splitlines(keepends=True)
    (position,) = [n for n, line in enumerate(lines) if "import tf_flowers_dataset_builder" in line]
    indent = lines[position][: len(lines[position]) - len(lines[position].lstrip())]
    lines.insert(position + 1, indent + patched)
    return "".join(lines).replace("download_and_prepare()", UNCHECKED)


UNCHECKED = (
    "download_and_prepare(download_config=tfds.download.DownloadConfig(register_checksums=False))"
)

if __name__ == "__main__":
    main()
