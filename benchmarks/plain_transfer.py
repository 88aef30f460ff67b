"""Transfer learning the plain way, as tutorials have it: every epoch goes through the frozen base.

    python benchmarks/plain_transfer.py RUN [--precision mixed_bfloat16]

RUN is a finished run of train_transfer.py: photos, split, image size, batch size and epochs are
the same. The base is a ResNet50 with random weights: what it learned does not change the time.
Prints what Keras does: for every epoch its seconds, loss and accuracy; then loss and accuracy on
validation, unseen and surplus photos. transfer_speed.py measures the time of it all.
"""

import csv
import itertools
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the package

from vision101.cli import ArgumentParser, run_script
from vision101.finished_runs import read_run


def main() -> None:
    parser = ArgumentParser(__doc__)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--precision", default="float32", help="of Keras (default: float32)")
    arguments = parser.parse_args()
    config = read_run(arguments.run).config
    size = config["image_size"], config["image_size"]
    import keras  # not before run_script, which chooses its backend

    keras.config.set_dtype_policy(arguments.precision)
    with tempfile.TemporaryDirectory() as folder:
        link_photos(arguments.run / "split.csv", Path(config["photos"]), Path(folder))
        datasets = {
            subset.name: keras.utils.image_dataset_from_directory(
                subset,
                label_mode="categorical",
                image_size=size,
                batch_size=config["batch_size"],
                crop_to_aspect_ratio=True,
                shuffle=subset.name == "train",
                seed=0,
            ).cache()  # decoded once, as train_transfer.py does it
            for subset in sorted(Path(folder).iterdir())
        }
        inputs = keras.Input((*size, 3))
        x = keras.layers.RandomFlip("horizontal")(inputs)
        x = keras.layers.RandomRotation(0.1)(x)
        x = keras.layers.RandomZoom(0.2)(x)
        x = keras.applications.resnet50.preprocess_input(x)
        base = keras.applications.ResNet50(include_top=False, weights=None)
        base.trainable = False
        x = keras.layers.GlobalAveragePooling2D()(base(x, training=False))
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Dropout(0.4)(x)
        class_count = len(config["class_names"])
        outputs = keras.layers.Dense(class_count, activation="softmax", dtype="float32")(x)
        model = keras.Model(inputs, outputs)
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        model.fit(
            datasets.pop("train"),
            validation_data=datasets["validation"],
            epochs=config["epochs"],
            verbose=2,
        )
        for name, dataset in datasets.items():
            print(name)
            model.evaluate(dataset, verbose=2)


def link_photos(split_path: Path, photos: Path, folder: Path) -> None:
    """Make `folder/<subset>/<class>/` for a split, with links to the photos in them."""
    with split_path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    # Each subset has a folder for each class, or labels would differ: the surplus lacks a class.
    subsets, labels = ({row[column] for row in rows} for column in ("part", "label"))
    for subset, label in itertools.product(subsets, labels):
        (folder / subset / label).mkdir(parents=True)
    for number, row in enumerate(rows):  # those of --add lie elsewhere, and names may be the same
        photo = photos / row["path"]
        (folder / row["part"] / row["label"] / f"{number:06}{photo.suffix}").symlink_to(photo)


if __name__ == "__main__":
    run_script(main)
