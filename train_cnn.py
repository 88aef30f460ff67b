"""Train a convolutional network (CNN) from scratch to tell flowers, or your own photos, apart.

    python train_cnn.py                          the article's baseline, on tf_flowers
    python train_cnn.py --recipe augmented       the same network, on varied photos
    python train_cnn.py --recipe tuned           the best small network that we know of
    python train_cnn.py --data sample            painted photos, needs no network
    python train_cnn.py --data my_photos/        one sub-folder a class

SCORES
"""

import argparse
from collections.abc import Callable
from typing import NamedTuple

from vision101.augmentation import build_augmentation
from vision101.command_line import (
    ArgumentParser,
    add_data_arguments,
    add_output_arguments,
    add_training_arguments,
    run_script,
)
from vision101.datasets import build_dataset, decode_split
from vision101.evaluation import judge_model, print_scores
from vision101.models import build_base_cnn, build_tuned_cnn
from vision101.photos import index_photos, list_classes
from vision101.plots import plot_answers, plot_confusion, plot_curves
from vision101.runs import Stopwatch, finish_run, save_model, start_run
from vision101.sources import find_photos
from vision101.split import split_photos
from vision101.training import build_learning_rate_schedule, choose_precision

import keras


class Recipe(NamedTuple):
    """What tells one way of training from another."""

    build_model: Callable[[int, int], keras.Model]  # of the number of classes, the image size
    image_size: int  # pixels a side: the more, the finer, and the slower by the square
    crop_size: int | None  # pixels a side of random pieces to train on; None for no augmentation
    blended: bool  # blend pairs of photos too
    label_smoothing: float  # share of certainty taken from labels, which are not all right
    epochs: int
    learning_rate: float  # at its peak
    weight_decay: float


RECIPES = {
    # Knows its photos by heart after ten epochs: more would be more of the same.
    "base": Recipe(build_base_cnn, 128, None, False, 0.0, 15, 1e-3, 0.0),
    # Never sees a photo twice alike, so it goes on learning for longer.
    "augmented": Recipe(build_base_cnn, 128, 128, False, 0.0, 40, 1e-3, 0.0),
    # A better network, with all that keeps it from learning photos by heart. Random pieces show
    # flowers larger than whole photos do; whole photos of 160 pixels make up for that (Touvron et
    # al. 2019, "Fixing the train-test resolution discrepancy").
    "tuned": Recipe(build_tuned_cnn, 160, 128, True, 0.1, 100, 2e-3, 0.05),
}
BATCH_SIZE = 32  # a thousand photos are few: larger batches would leave few steps to learn in


def main() -> None:
    arguments = parse_arguments()
    recipe = RECIPES[arguments.recipe]
    image_size = arguments.image_size or recipe.image_size
    epochs = arguments.epochs or recipe.epochs
    learning_rate = arguments.learning_rate or recipe.learning_rate
    keras.utils.set_random_seed(arguments.seed)
    stopwatch = Stopwatch()

    # Photos, split into parts with as many of each class, and examples once.
    source = find_photos(arguments.data)
    photos = index_photos(source)
    class_names = list_classes(photos)
    split = split_photos(photos, arguments.seed, arguments.per_class)
    examples = decode_split(split, class_names, image_size)
    stopwatch.end_stage("photos")

    # Datasets. Only training photos are varied.
    augment = None
    if recipe.crop_size:
        augment = build_augmentation(
            image_size * recipe.crop_size // recipe.image_size, recipe.blended
        )
    train_dataset = build_dataset(
        examples["train"], arguments.batch_size, augment, shuffle_seed=arguments.seed
    )
    validation_dataset = build_dataset(examples["validation"], arguments.batch_size)

    # The model.
    precision = choose_precision(arguments.precision)
    keras.config.set_dtype_policy(precision)
    model = recipe.build_model(len(class_names), image_size)
    model.summary()
    model.compile(
        optimizer=keras.optimizers.AdamW(
            build_learning_rate_schedule(learning_rate, epochs, len(train_dataset)),
            weight_decay=recipe.weight_decay,
        ),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
    )

    # A folder for all that this run writes, beginning with its split and its settings.
    run_folder = start_run(
        ("cnn", arguments.recipe),
        arguments,
        {
            "image_size": image_size,
            "epochs": epochs,
            "learning_rate": learning_rate,
            "precision": precision,
        },
        source,
        split,
    )

    # Train, and keep the weights of the epoch that does best on the validation photos.
    checkpoint = run_folder / "best.keras"
    history = model.fit(
        train_dataset,
        validation_data=validation_dataset,
        epochs=epochs,
        shuffle=False,  # the dataset does it
        callbacks=[
            keras.callbacks.ModelCheckpoint(
                checkpoint, monitor="val_accuracy", save_best_only=True
            ),
            keras.callbacks.CSVLogger(run_folder / "log.csv"),
        ],
    ).history
    best_epoch = 1 + history["val_accuracy"].index(max(history["val_accuracy"]))
    stopwatch.end_stage("training")

    # Save that model once more, without the optimizer and in float32, which runs everywhere.
    keras.config.set_dtype_policy("float32")
    best_model = recipe.build_model(len(class_names), image_size)
    best_model.set_weights(keras.saving.load_model(checkpoint, compile=False).get_weights())
    save_model(best_model, run_folder)

    # Judge it, once, on photos that had no part in training.
    scores, probabilities = judge_model(best_model, examples, class_names)
    stopwatch.end_stage("judgement")

    # Show it.
    title = f"{arguments.recipe} CNN" + (" on painted sample photos" if source.painted else "")
    plot_curves(run_folder, history, best_epoch, title)
    plot_confusion(run_folder, scores["unseen"]["confusion"], class_names, title)
    plot_answers(run_folder, examples["unseen"], probabilities["unseen"], class_names, title)
    print_scores(scores, title)
    finish_run(run_folder, scores, best_model, best_epoch, stopwatch.seconds, source)


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument("--recipe", choices=RECIPES, default="base", help="default: base")
    add_data_arguments(parser)
    add_training_arguments(parser, BATCH_SIZE)
    add_output_arguments(parser)
    return parser.parse_args()


if __name__ == "__main__":
    run_script(main)
