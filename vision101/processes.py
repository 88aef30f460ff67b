"""Several processes, mostly on as many machines, train one network together, with JAX.

Keras's variables `KERAS_DISTRIBUTION_...` say who takes part. Each process has a copy of the
network, and decodes and keeps the photos of its own share (see `training.datasets.take_share`).
Process 0 alone shows progress and writes the run's folder. When the training has ended, TensorFlow
evaluates and saves the run in place of process 0, and the others end.

Where one process ends, the others cannot go on. JAX notices that, and says so in fifty lines, or
waits for minutes. Here, every process has a witness: a small program which hides those lines, and
says one where a process ends without a word of its own.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vision101.errors import UserError

VARIABLES = [f"KERAS_DISTRIBUTION_{n}" for n in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")]

HEARTBEAT_SECONDS = 30  # without a sign of life, after which a process is lost; JAX's own: 100

TEXT_BYTES = 4096  # that `gather` takes

# What errors say where others are gone: of Gloo, which connects processors, of NCCL, which connects
# GPUs, and of JAX's own connections.
LOST = r"Gloo|NCCL|coordination|UNAVAILABLE|DEADLINE_EXCEEDED"

# What a process tells its witness: that it ends of itself, or what to say in its place.
GOODBYE, SAY = b"\ngoodbye", b"say "
WITNESS = f"""
import sys
lines = [b"", *sys.stdin.buffer]
said = [line[{len(SAY)}:].decode() for line in lines if line.startswith({SAY!r})]
if said or lines[-1] != {GOODBYE.strip()!r}:
    print([*said, sys.argv[1]][0].strip(), file=sys.stderr)
"""

# Of this process. Without others, they stay as they are.
rank, count = 0, 1
_stderr: int | None = None  # a copy of it, once the witness has its place


def join() -> None:
    """Join the other processes, if Keras's variables say that there are some; under Slurm and
    Kubernetes, JAX finds what they do not say. Raises UserError where that fails.
    """
    global rank, count
    given = [os.environ.get(name) for name in VARIABLES]
    if os.environ.get("KERAS_BACKEND") != "jax" or not any(given):
        return
    _call_witness()
    import jax  # takes seconds

    try:
        addresses, number, place = given
        # Not Keras's own `initialize`, which cannot set the last one.
        jax.distributed.initialize(
            addresses and addresses.split(",")[0],
            number and int(number),
            place and int(place),
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        )
        rank, count = jax.process_index(), jax.process_count()
    except (ValueError, RuntimeError) as error:
        named = ", ".join(
            f"{n}={value}" for n, value in zip(VARIABLES, given, strict=True) if value
        )
        reason = str(error).partition("\n")[0]
        raise UserError(f"{named}: the processes cannot find each other ({reason})") from error
    if rank:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.stderr.isatty = lambda: False  # it shows errors, and no bars


def gather(text: str) -> list[str]:
    """Return what each process passes, in order of their ranks: all have to call this."""
    if count == 1:
        return [text]
    from jax.experimental import multihost_utils

    filled = text.encode(errors="surrogateescape").ljust(TEXT_BYTES, b"\0")
    arrays = multihost_utils.process_allgather(np.frombuffer(filled, np.uint8))
    return [bytes(row).rstrip(b"\0").decode(errors="surrogateescape") for row in arrays]


def add_up(number: int) -> int:
    """Return the sum of a number over all processes."""
    return sum(map(int, gather(str(number))))


def describe_loss(error: Exception) -> str:
    """Return what an error says of a process that was lost; "" where it says something else."""
    if count == 1 or not re.search(LOST, str(error)):
        return ""
    reason = str(error).partition("\n")[0]
    return f"process {rank} of {count} lost another one, which may say why ({reason})"


def say_through_witness(line: str) -> None:
    """Have the witness say a line, where JAX may end this process at any moment."""
    os.write(2, b"\n" + SAY + line.encode() + b"\n")


def hand_over(folder: Path) -> None:
    """With JAX, have TensorFlow evaluate, save and show a run whose training has ended: this
    process becomes another one, which resumes the run and finds all epochs done.
    """
    if os.environ.get("KERAS_BACKEND") != "jax":
        return
    if _stderr is not None:
        import jax

        jax.distributed.shutdown()  # once all have come to this
        if rank:
            _leave(0)
        os.write(2, GOODBYE)
        os.dup2(_stderr, 2)
    print("Trained with JAX; TensorFlow does the rest.", flush=True)
    command = [sys.executable, sys.argv[0], "--resume", str(folder.absolute())]
    os.execve(sys.executable, command, os.environ | {"KERAS_BACKEND": "tensorflow"})


@contextlib.contextmanager
def leave_at_once() -> Iterator[None]:
    """Have a process that has joined others end where the `with` does. It would wait for them
    otherwise, who wait for it.
    """
    try:
        yield
    except BaseException as error:
        if _stderr is None:
            raise
        ended = isinstance(error, SystemExit)
        if not ended:
            traceback.print_exc()
        _leave(error.code or 0 if ended else 1)


def _call_witness() -> None:
    """Give what libraries write to the process's stderr, past Python, to a witness."""
    global _stderr
    program = Path(sys.argv[0]).name
    line = (
        f"{program}: ended by force, or because another process ended or was not found, and may "
        "say why; start all of them again, with --resume if there is a run's folder"
    )
    command = [sys.executable, "-IS", "-c", WITNESS, line]
    # In a session of its own, since Ctrl-C is not meant for it.
    witness = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    _stderr = os.dup(2)
    os.dup2(witness.stdin.fileno(), 2)
    stream = os.fdopen(os.dup(_stderr), "wb", 0)
    coding = sys.stderr.encoding
    sys.stderr = io.TextIOWrapper(stream, coding, errors="plain", line_buffering=True)


def _leave(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(2, GOODBYE)
    os._exit(code)
