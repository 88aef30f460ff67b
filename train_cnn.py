"""Train a convolutional network (CNN) from scratch to tell flowers, or your own photos, apart.

    python train_cnn.py                          the article's baseline, on tf_flowers
    python train_cnn.py --recipe augmented       the same network, on varied photos
    python train_cnn.py --recipe tuned           the best small network that we know of
    python train_cnn.py --data sample            painted photos, needs no internet
    python train_cnn.py --data my_photos/        one sub-folder per class

On unseen photos of tf_flowers, mean of six seeds, on two processor cores: base 61 % (in 1 to 3
minutes), augmented 74 % (4 to 25), tuned 88 % (32 to 41). See README.md for their spread.
"""

import argparse
from collections.abc import Callable
from typing import NamedTuple

import keras

from vision101.cli import ArgumentParser, add_training_arguments, run_script
from vision101.evaluation.calibration import calibrate_model
from vision101.evaluation.evaluate import evaluate_model, print_evaluation
from vision101.evaluation.plots import plot_curves, plot_evaluation
from vision101.evaluation.report import write_run_report
from vision101.photos.index import index_photos, list_classes
from vision101.photos.lists import add_photos, exclude_photos
from vision101.photos.sources import find_photos
from vision101.photos.split import split_photos
from vision101.runs import Stopwatch, finish_run, save_model, start_run, summarize_run
from vision101.training.augmentation import build_augmentation
from vision101.training.datasets import build_dataset, decode_split
from vision101.training.models import (
    average_with_flip,
    build_base_cnn,
    build_tuned_cnn,
    rebuild_model,
)
from vision101.training.schedule import (
    build_learning_rate_schedule,
    check_convergence,
    choose_precision,
)


class Recipe(NamedTuple):
    """What tells one way of training from another."""

    build_model: Callable[[int, int], keras.Model]  # of (class_count, image_size)
    image_size: int  # pixels per side: twice as many show finer detail, and take four times as long
    epochs: int
    learning_rate: float  # at its peak
    crop: float = 0.0  # side of what random crops are resized to, as a share; 0: no augmentation
    mixup: bool = False  # train on blends of pairs of crops
    mirror: bool = False  # average the answers for a photo and its mirror image
    label_smoothing: float = 0.0  # share of a label that goes to all classes alike
    weight_decay: float = 0.0


# Knows its photos by heart after about ten epochs: more would not help.
BASE = Recipe(build_base_cnn, image_size=128, epochs=15, learning_rate=1e-3)
# Never sees the same picture twice, so it goes on learning for longer.
AUGMENTED = BASE._replace(crop=1.0, epochs=40)
# A better network, with all that keeps it from learning photos by heart. Random crops show flowers
# larger than whole photos do; training on smaller images makes up for that (Touvron et al. 2019,
# "Fixing the train-test resolution discrepancy").
TUNED = Recipe(
    build_tuned_cnn,
    image_size=160,
    epochs=160,
    learning_rate=2e-3,
    crop=0.8,
    mixup=True,
    mirror=True,
    label_smoothing=0.1,
    weight_decay=0.05,
)
RECIPES = {"base": BASE, "augmented": AUGMENTED, "tuned": TUNED}
BATCH_SIZE = 32  # with a thousand photos, larger batches would leave few steps to learn in


def main() -> None:
    arguments = parse_arguments()
    recipe = RECIPES[arguments.recipe]
    keras.utils.set_random_seed(arguments.seed)
    stopwatch = Stopwatch()

    # Photos, split into parts with the same number of each class, and decoded once.
    source = find_photos(arguments.data)
    photos = exclude_photos(index_photos(source), source, arguments.exclude)
    class_names = list_classes(photos)
    split = add_photos(split_photos(photos, arguments.seed, arguments.per_class), arguments.add)
    examples = decode_split(split, class_names, arguments.image_size)
    stopwatch.end_stage("photos")

    # Datasets. Only training photos are augmented, and shuffled.
    crop_size = round(recipe.crop * arguments.image_size)
    augment = build_augmentation(crop_size, recipe.mixup) if crop_size else None
    train_dataset = build_dataset(examples["train"], arguments.batch_size, augment, arguments.seed)
    validation_dataset = build_dataset(examples["validation"], arguments.batch_size)

    # The model.
    keras.config.set_dtype_policy(choose_precision(arguments.precision))
    model = recipe.build_model(len(class_names), arguments.image_size)
    model.summary()
    steps = arguments.epochs * len(train_dataset)
    schedule = build_learning_rate_schedule(arguments.learning_rate, steps)
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay),
        keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
    )

    # Train, and keep the model of the epoch that does best on the validation photos.
    run_folder = start_run("cnn", arguments.recipe, arguments, recipe._asdict(), source, split)
    checkpoint = run_folder / "checkpoint.keras"
    history = model.fit(
        train_dataset,
        validation_data=validation_dataset,
        epochs=arguments.epochs,
        shuffle=False,  # the dataset does it
        callbacks=[
            keras.callbacks.ModelCheckpoint(checkpoint, "val_accuracy", save_best_only=True),
            keras.callbacks.CSVLogger(run_folder / "log.csv"),
            keras.callbacks.TerminateOnNaN(),
        ],
    ).history
    check_convergence(history)
    stopwatch.end_stage("training")

    # Calibrate its confidence, and save it in float32, which runs well on every machine.
    best_model = keras.saving.load_model(checkpoint, compile=False)
    if recipe.mirror:
        best_model = average_with_flip(best_model)
    best_model = rebuild_model(best_model, "float32")
    temperature = calibrate_model(best_model, examples["validation"])
    save_model(best_model, run_folder)
    checkpoint.unlink()

    # Judge it, once, on photos that had no part in training.
    evaluation = evaluate_model(
        best_model, examples, class_names, temperature, arguments.target_accuracy
    )
    stopwatch.end_stage("evaluation")

    # Show it.
    title = f"{arguments.recipe} CNN" + (" on painted sample photos" if source.painted else "")
    unseen = examples["unseen"]
    plot_curves(run_folder, history, title)
    plot_evaluation(run_folder, evaluation, unseen, title)
    print_evaluation(evaluation, title)
    seconds = stopwatch.seconds
    results = summarize_run(evaluation, best_model, unseen, history, seconds, title, source)
    write_run_report(run_folder, results, evaluation, best_model, unseen, split)
    finish_run(run_folder, results, evaluation, split, source)


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument("--recipe", choices=RECIPES, default="base", help="default: base")
    add_training_arguments(parser, BATCH_SIZE)
    # Parsed twice: the recipe decides the defaults of other flags.
    recipe = RECIPES[parser.parse_args().recipe]
    parser.set_defaults(
        image_size=recipe.image_size, epochs=recipe.epochs, learning_rate=recipe.learning_rate
    )
    return parser.parse_args()


if __name__ == "__main__":
    run_script(main)
