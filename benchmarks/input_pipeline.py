"""What the input pipeline of the tuned recipe costs: alone, and beside the training step.

    python benchmarks/input_pipeline.py --data my_photos/
    python benchmarks/input_pipeline.py --data sample --steps 4 --rounds 1    to try it

Three ways to feed the same network with batches of the same size, in turn:

- prepared: batches that lie ready in memory, the least there can be
- ours: train_cnn.py's way, decoded once, then cropped, flipped, coloured and mixed anew
- tutorial: `image_dataset_from_directory`, `cache`, `shuffle`, Keras's RandomFlip, RandomRotation
  and RandomZoom, `prefetch`, as TensorFlow's tutorial on image classification has it

Prints the CPU seconds and seconds that a thousand images take, in the pipeline alone and in `fit`,
medians of the rounds. Nothing else should run; where something does, CPU seconds tell more.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the package

import keras
import tensorflow as tf

from train_cnn import BATCH_SIZE, TUNED
from vision101.photos.index import index_photos, list_classes
from vision101.photos.sources import find_photos
from vision101.training import models, schedule
from vision101.training.augmentation import Augmentation
from vision101.training.datasets import build_training_dataset, decode_whole

# What the network is trained on for the middle part of the epochs, in pixels.
IMAGE_SIZE = 128


def main() -> None:
    arguments = parse_arguments()
    source = find_photos(arguments.data)
    photos = index_photos(source)
    class_names = list_classes(photos)
    augment = Augmentation([IMAGE_SIZE], TUNED.mixup)
    examples = decode_whole(photos, class_names, augment.photo_size)
    ours = build_training_dataset(examples, BATCH_SIZE, seed=0, augment=augment)
    ways = {
        "prepared": ours.take(arguments.steps).cache().repeat(),
        "ours": ours,
        "tutorial": build_tutorial_dataset(source.folder),
    }
    keras.config.set_dtype_policy(schedule.choose_precision(arguments.precision))
    model = models.build_tuned_cnn(len(class_names))
    model.compile(keras.optimizers.AdamW(1e-3), keras.losses.CategoricalCrossentropy())

    def run_alone(dataset: tf.data.Dataset) -> None:
        for _ in dataset.take(arguments.steps):
            pass

    def fit(dataset: tf.data.Dataset) -> None:
        model.fit(dataset, steps_per_epoch=arguments.steps, verbose=0)

    thousands = arguments.steps * BATCH_SIZE / 1000
    print(f"{'':10}{'alone: CPU s':>14}{'s':>8}{'fit: CPU s':>14}{'s':>8}")
    rows = {name: [] for name in ways}
    for number in range(arguments.rounds + 1):
        for name, dataset in ways.items():
            row = (*measure(run_alone, dataset), *measure(fit, dataset))
            if number:  # the first round traces, and fills caches
                rows[name].append([value / thousands for value in row])
    for name, measured in rows.items():
        alone, alone_wall, fitted, wall = map(statistics.median, zip(*measured, strict=True))
        print(f"{name:10}{alone:14.2f}{alone_wall:8.2f}{fitted:14.2f}{wall:8.2f}")


def build_tutorial_dataset(folder: Path) -> tf.data.Dataset:
    """Build the tutorial's dataset: float32 (batch, IMAGE_SIZE, IMAGE_SIZE, 3), 0-255, and one-hot
    labels (batch, classes), endlessly.
    """
    dataset = keras.utils.image_dataset_from_directory(
        folder,
        label_mode="categorical",
        image_size=(IMAGE_SIZE, IMAGE_SIZE),
        batch_size=BATCH_SIZE,
        verbose=False,
    )
    augmentation = keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(0.1),
            keras.layers.RandomZoom(0.1),
        ]
    )
    varied = dataset.cache().shuffle(1000 // BATCH_SIZE).repeat()
    varied = varied.map(lambda images, labels: (augmentation(images, training=True), labels))
    return varied.prefetch(tf.data.AUTOTUNE)


def measure(task: Callable, dataset: tf.data.Dataset) -> tuple[float, float]:
    """Return the CPU seconds, of all threads, and the seconds that a task takes."""
    cpu, wall = time.process_time(), time.perf_counter()
    task(dataset)
    return time.process_time() - cpu, time.perf_counter() - wall


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, metavar="PHOTOS")
    parser.add_argument("--steps", type=int, default=64, help="in a measurement (default: 64)")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--precision", default="auto", help="as of train_cnn.py (default: auto)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
