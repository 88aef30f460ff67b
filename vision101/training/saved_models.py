"""Saved Keras models, which may be damaged or made to do harm: looked at before they are loaded."""

import contextlib
import json
import math
import random
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

# The largest network of Keras Applications has weights of 1.4 GB, and a description below 1 MB.
WEIGHTS_BYTES = 2_000_000_000
DESCRIPTION_BYTES = 50_000_000
WEIGHTS_NAME = "model.weights.h5"  # inside a .keras file


def load_model(path: Path, weights_bytes: int = WEIGHTS_BYTES) -> keras.Model:
    """Load a model without its optimizer, in Keras's safe mode: it runs no code of its own. Raises
    ValueError where it is too large, or weights are NaN or infinite, and anything on damage.
    """
    check_sizes(path, weights_bytes)
    if zipfile.is_zipfile(path):
        _compare(4 * _count_described_weights(path), weights_bytes, "WEIGHTS_BYTES")
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    if not all(np.isfinite(weights).all() for weights in model.get_weights()):
        raise ValueError("weights are NaN or infinite")
    return model


def check_sizes(path: Path, weights_bytes: int = WEIGHTS_BYTES) -> None:
    """Raise ValueError where a .keras or .h5 file would unpack to more than is sensible. Nothing is
    unpacked: a file of 2 MB may claim to hold 2 GB of zeros.
    """
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        if zipfile.is_zipfile(file):
            archive = stack.enter_context(zipfile.ZipFile(file))
            sizes = {member.filename: member.file_size for member in archive.infolist()}
            _compare(sizes.pop(WEIGHTS_NAME, 0), weights_bytes, "WEIGHTS_BYTES")
            _compare(sum(sizes.values()), DESCRIPTION_BYTES, "DESCRIPTION_BYTES")
            file = stack.enter_context(archive.open(WEIGHTS_NAME))
        weights = stack.enter_context(h5py.File(file))
        claimed = []  # arrays inside may be compressed once more
        weights.visititems(lambda _, item: claimed.append(getattr(item, "nbytes", 0)))
        _compare(sum(claimed), weights_bytes, "WEIGHTS_BYTES")


def _count_described_weights(path: Path) -> int:
    """Return how many weights the description in a .keras file asks for, without making them: a
    kilobyte may describe layers of terabytes.
    """
    with zipfile.ZipFile(path) as archive:
        description = json.loads(archive.read("config.json"))
    state = random.getstate()  # layers draw seeds, which must stay those of a training to come
    with keras.StatelessScope(initialize_variables=False):  # weights have shapes, and no values
        model = keras.saving.deserialize_keras_object(description, safe_mode=True)
    random.setstate(state)
    return sum(math.prod(weights.shape) for weights in model.variables)


def _compare(size: int, limit: int, name: str) -> None:
    if size > limit:
        raise ValueError(f"unpacks to {size:,} bytes; at most {limit:,} are loaded, see {name}")
