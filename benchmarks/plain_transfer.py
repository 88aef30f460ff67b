"""Transfer learning the plain way, as tutorials have it: every epoch goes through the frozen base.

    python benchmarks/plain_transfer.py RUN --data PHOTOS [--epochs 20] [--precision float32]

Trains on the split of RUN, the folder of a finished run of train_transfer.py on the same photos.
"""

import argparse
import csv
import itertools
import tempfile
from pathlib import Path

import keras

IMAGE_SIZE, BATCH_SIZE = 224, 32


def main() -> None:
    arguments = parse_arguments()
    keras.config.set_dtype_policy(arguments.precision)
    with tempfile.TemporaryDirectory() as folder:
        link_photos(arguments.run / "split.csv", arguments.data.resolve(), Path(folder))
        train, validation, unseen, surplus = (
            keras.utils.image_dataset_from_directory(
                Path(folder) / part,
                label_mode="categorical",
                image_size=(IMAGE_SIZE, IMAGE_SIZE),
                batch_size=BATCH_SIZE,
                crop_to_aspect_ratio=True,
                shuffle=part == "train",
                seed=0,
            ).cache()  # decoded once, as train_transfer.py does it
            for part in ("train", "validation", "unseen", "surplus")
        )
        model = build_model(train.element_spec[1].shape[-1])
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        model.fit(train, validation_data=validation, epochs=arguments.epochs, verbose=2)
        for part in (validation, unseen, surplus):
            model.evaluate(part, verbose=2)


def build_model(class_count: int) -> keras.Model:
    inputs = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3))
    x = keras.layers.RandomFlip("horizontal")(inputs)
    x = keras.layers.RandomRotation(0.1)(x)
    x = keras.layers.RandomZoom(0.2)(x)
    x = keras.applications.resnet50.preprocess_input(x)
    base = keras.applications.ResNet50(include_top=False, weights=None)
    base.trainable = False
    x = keras.layers.GlobalAveragePooling2D()(base(x, training=False))
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(0.4)(x)
    outputs = keras.layers.Dense(class_count, activation="softmax", dtype="float32")(x)
    return keras.Model(inputs, outputs)


def link_photos(split_path: Path, photos: Path, folder: Path) -> None:
    with split_path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    # Every part has a folder for each class, or labels would differ: the surplus lacks a class.
    parts, labels = ({row[column] for row in rows} for column in ("part", "label"))
    for part, label in itertools.product(parts, labels):
        (folder / part / label).mkdir(parents=True)
    for row in rows:
        link = folder / row["part"] / row["path"]
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(photos / row["path"])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--data", type=Path, required=True, metavar="PHOTOS")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--precision", default="float32", help="of Keras: default float32")
    return parser.parse_args()


if __name__ == "__main__":
    main()
