"""Training with JAX: TensorFlow does the rest."""

import os
import sys

import keras

from vision101.runs import Run


def hand_over(run: Run) -> None:
    """With JAX, have TensorFlow evaluate, save and show a run whose training has ended: this
    process becomes another one, which resumes the run and finds all epochs done.
    """
    if keras.config.backend() != "jax":
        return
    print("Trained with JAX; TensorFlow does the rest.", flush=True)
    command = [sys.executable, sys.argv[0], "--resume", str(run.folder.absolute())]
    os.execve(sys.executable, command, os.environ | {"KERAS_BACKEND": "tensorflow"})
