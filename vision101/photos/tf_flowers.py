"""Downloads tf_flowers with TensorFlow Datasets."""

import hashlib
import shutil
import urllib.request
from collections import Counter
from pathlib import Path

from vision101.errors import DISK_FULL_ERRORS, UserError
from vision101.files import write_atomically
from vision101.terminal import ProgressBar

# A server that has not answered by then will not; TFDS itself would retry for minutes.
CONNECTION_TIMEOUT_SECONDS = 10


def download_tf_flowers(folder: Path) -> None:
    """Download tf_flowers and write its JPEG files, byte for byte, to `folder`/<class>/.

    Raises:
        UserError: It cannot be downloaded, or the disk is full.
    """
    # They load TensorFlow, which takes seconds.
    import tensorflow_datasets as tfds
    from tensorflow_datasets.datasets.tf_flowers import tf_flowers_dataset_builder

    address = tf_flowers_dataset_builder._URL
    with write_atomically(folder) as temporary:
        try:
            request = urllib.request.Request(address, method="HEAD")
            urllib.request.urlopen(request, timeout=CONNECTION_TIMEOUT_SECONDS).close()
            builder = tfds.builder("tf_flowers", data_dir=temporary / "tfds")
            builder.download_and_prepare()
        # TFDS lets through whatever its network, file and archive libraries raise.
        except Exception as error:
            if getattr(error, "errno", None) in DISK_FULL_ERRORS:
                raise
            raise UserError(
                f"tf_flowers could not be downloaded from {address} ({error}). Ways on: try again "
                "when the network is there; or fetch that file elsewhere and use "
                "--data flower_photos.tgz; or use the painted photos, --data sample"
            ) from error
        class_names = builder.info.features["label"].names
        decoders = {"image": tfds.decode.SkipDecoding()}
        examples = builder.as_dataset(split="train", decoders=decoders).as_numpy_iterator()
        count = builder.info.splits["train"].num_examples
        copies = Counter()
        for example in ProgressBar(examples, desc="Writing photos", total=count, unit=" photos"):
            # TFDS does not pass the files' names on. Their content names them instead, which
            # is the same on every machine; a few photos are in the collection twice.
            name = hashlib.sha256(example["image"]).hexdigest()[:16]
            copies[name] += 1
            if copies[name] > 1:
                name = f"{name}-{copies[name]}"
            path = temporary / class_names[example["label"]] / f"{name}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(example["image"])
        shutil.rmtree(temporary / "tfds")
