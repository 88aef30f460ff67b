"""Several processes that start at once on a fresh data/ folder all end well, and alike."""

import os
import subprocess
import sys
import tarfile

import pytest
from conftest import PROJECT

from vision101.cli import INTERRUPTED_EXIT_CODE

# Finds the photos of --data, indexes and splits them, and prints a hash of all that came of it.
PROGRAM = """
import hashlib, sys
from pathlib import Path
from vision101.photos.index import index_photos
from vision101.photos.sources import find_photos
from vision101.photos.split import hash_split, split_photos

data, data_folder = sys.argv[1], Path(sys.argv[2])
source = find_photos(data, data_folder)
photos = index_photos(source, data_folder)
paths = sorted(source.place(photo.path) for photo in photos)
print(hashlib.sha256(repr(paths).encode()).hexdigest(), hash_split(split_photos(photos, 0)))
"""


@pytest.mark.parametrize(("data", "processes"), [("archive", 4), ("sample", 2)])
def test_processes_at_once_find_the_same_photos(data, processes, painted_folder, tmp_path):
    if data == "archive":
        data = tmp_path / "photos.tgz"
        with tarfile.open(data, "w:gz") as archive:
            archive.add(painted_folder, "photos")
    command = [sys.executable, "-c", PROGRAM, str(data), str(tmp_path / "data")]
    started = [
        subprocess.Popen(
            command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(processes)
    ]
    finished = [(*process.communicate(timeout=200), process.returncode) for process in started]
    assert [code for *_, code in finished] == [0] * processes, finished
    assert len({out.splitlines()[-1] for out, *_ in finished}) == 1
    # Nothing half-written is left, and another start finds the same.
    assert not list((tmp_path / "data").rglob(".partial-*"))
    again = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert again.stdout.splitlines()[-1] == finished[0][0].splitlines()[-1]


def test_ctrl_c_ends_with_a_line_of_its_own_below_what_the_terminal_shows():
    pty = pytest.importorskip("pty")  # not on Windows
    program = """
import os, signal, time
from vision101.cli import run_script

def main():
    os.write(2, b"^C")
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)

run_script(main)
"""
    reader, terminal = pty.openpty()
    finished = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, stderr=terminal)
    assert os.read(reader, 1000).decode().splitlines() == ["^C", "-c: stopped"]
    assert finished.returncode == INTERRUPTED_EXIT_CODE
