"""Train a classifier on top of a pretrained network: better than from scratch, and in minutes.

    python train_transfer.py                     on a frozen ResNet50, on tf_flowers
    python train_transfer.py --fine-tune 40      and then its last 40 layers too, gently
    python train_transfer.py --backbone MobileNetV2
    python train_transfer.py --weights none      without a download: shows how, not how well
    python train_transfer.py --data my_photos/   one sub-folder per class

On unseen photos of tf_flowers, mean of six seeds, a frozen MobileNetV1 (ImageNet) reached 91 %, and
93 % fine-tuned (7 to 10 minutes more on two processor cores).
"""

import argparse
from pathlib import Path

import keras
import tensorflow as tf

from vision101.cli import ArgumentParser, add_transfer_arguments, run_script
from vision101.evaluation.calibration import calibrate_model
from vision101.evaluation.evaluate import evaluate_model, print_evaluation
from vision101.evaluation.plots import plot_curves, plot_evaluation, plot_side_by_side
from vision101.evaluation.report import write_run_report
from vision101.evaluation.scores import print_scores
from vision101.photos.index import index_photos, list_classes
from vision101.photos.lists import add_photos, exclude_photos
from vision101.photos.sources import find_photos
from vision101.photos.split import split_photos
from vision101.runs import (
    FinishedRun,
    Stopwatch,
    find_run_on_split,
    finish_run,
    save_model,
    start_run,
    summarize_run,
)
from vision101.training.backbones import build_backbone, print_trainable, unfreeze_last_layers
from vision101.training.datasets import build_dataset, decode_split
from vision101.training.features import compute_split_features
from vision101.training.models import build_head, join_backbone_and_head, rebuild_model
from vision101.training.schedule import (
    build_learning_rate_schedule,
    check_convergence,
    choose_precision,
)

BACKBONE, WEIGHTS = "ResNet50", "imagenet"  # the article's
IMAGE_SIZE = 224  # pixels per side: what most pretrained networks learnt from
BATCH_SIZE = 32
VIEWS = 6  # of each training photo; each costs one pass through the backbone
EPOCHS = 60  # of the head: fractions of a second each
LEARNING_RATE = 1e-3
FINE_TUNE_EPOCHS = 12  # of the whole network: each runs the backbone, forward and back
FINE_TUNE_LEARNING_RATE = 6e-5  # larger steps would undo what a million photos taught
WEIGHT_DECAY = 0.01
LABEL_SMOOTHING = 0.1  # share of a label that goes to all classes alike: not all are right


def main() -> None:
    arguments = parse_arguments()
    image_size, batch_size, seed = arguments.image_size, arguments.batch_size, arguments.seed
    keras.utils.set_random_seed(seed)
    stopwatch = Stopwatch()

    # Photos, split into parts with the same number of each class.
    source = find_photos(arguments.data)
    photos = exclude_photos(index_photos(source), source, arguments.exclude)
    class_names = list_classes(photos)
    split = add_photos(split_photos(photos, seed, arguments.per_class), arguments.add)
    stopwatch.end_stage("photos")

    # The model: a frozen backbone, and a head to be trained.
    keras.config.set_dtype_policy(choose_precision(arguments.precision))
    backbone = build_backbone(arguments.backbone, arguments.weights, image_size)
    head = build_head(len(class_names), backbone.model.output_shape[-1])
    model = join_backbone_and_head(backbone.model, head)
    print_trainable(model)

    # A frozen backbone gives the same features for the same picture every time. So they are
    # computed once and kept, and the head learns from them. The plain way runs the backbone in
    # every epoch.
    if arguments.feature_cache:
        trained = head
        examples = compute_split_features(backbone, split, class_names, arguments.views)
    else:
        trained = model
        examples = decode_split(split, class_names, image_size, arguments.views)
    stopwatch.end_stage("features")

    # Train the head.
    recipe = backbone.name + ("-fine-tuned" if arguments.fine_tune else "")
    settings = {"weight_decay": WEIGHT_DECAY, "label_smoothing": LABEL_SMOOTHING}
    if arguments.fine_tune:
        settings["fine_tune_epochs"] = FINE_TUNE_EPOCHS
        settings["fine_tune_learning_rate"] = FINE_TUNE_LEARNING_RATE
    run_folder = start_run("transfer", recipe, arguments, settings, source, split)
    train_dataset = build_dataset(examples["train"], batch_size, shuffle_seed=seed, views=True)
    validation_dataset = build_dataset(examples["validation"], batch_size)
    epochs, learning_rate = arguments.epochs, arguments.learning_rate
    history = fit(trained, train_dataset, validation_dataset, epochs, learning_rate, run_folder)
    stopwatch.end_stage("training")

    # On request, train the last layers of the backbone too, on the views themselves.
    if arguments.fine_tune:
        unfreeze_last_layers(backbone.model, head, arguments.fine_tune)
        print_trainable(model)
        trained = model
        if arguments.feature_cache:
            examples = decode_split(split, class_names, image_size, arguments.views)
        train_dataset = build_dataset(examples["train"], batch_size, shuffle_seed=seed, views=True)
        validation_dataset = build_dataset(examples["validation"], batch_size)
        epochs, learning_rate = FINE_TUNE_EPOCHS, FINE_TUNE_LEARNING_RATE
        history = fit(
            model, train_dataset, validation_dataset, epochs, learning_rate, run_folder, history
        )
        stopwatch.end_stage("fine-tuning")

    # Calibrate its confidence, and save it in float32, which runs well on every machine.
    if trained is head:  # its layers are also the last ones of the model
        temperature = calibrate_model(head, examples["validation"])
        best_model = rebuild_model(model, "float32")
        judged = head
    else:
        judged = best_model = rebuild_model(model, "float32")
        temperature = calibrate_model(best_model, examples["validation"])
    save_model(best_model, run_folder)

    # Judge it, once, on photos that had no part in training.
    evaluation = evaluate_model(
        judged, examples, class_names, temperature, arguments.target_accuracy
    )
    stopwatch.end_stage("evaluation")

    # Show it, and beside it the newest CNN on the same split, if there is one.
    title = backbone.title + (", fine-tuned" if arguments.fine_tune else "")
    title += " on painted sample photos" if source.painted else ""
    if judged is head:  # features cannot be shown, so decode the photos
        examples = decode_split({"unseen": split["unseen"]}, class_names, image_size)
    unseen = examples["unseen"]
    plot_curves(run_folder, history, title)
    plot_evaluation(run_folder, evaluation, unseen, title)
    print_evaluation(evaluation, title)
    if cnn := find_run_on_split(run_folder.parent, "cnn", split):
        plot_side_by_side(run_folder, cnn, FinishedRun(title, history, evaluation.scores))
        print_scores(cnn.scores, cnn.title)
    seconds = stopwatch.seconds
    results = summarize_run(evaluation, best_model, unseen, history, seconds, title, source)
    write_run_report(run_folder, results, evaluation, best_model, unseen, split)
    finish_run(run_folder, results, evaluation, split, source)


def fit(
    model: keras.Model,
    train_dataset: tf.data.Dataset,
    validation_dataset: tf.data.Dataset,
    epochs: int,
    learning_rate: float,
    run_folder: Path,
    earlier: dict[str, list[float]] | None = None,
) -> dict[str, list[float]]:
    """Compile and fit a model, and leave it with the weights of its best epoch.

    With the history of `earlier` epochs it goes on from there, and the best epoch may be one of
    those. Returns the history of all epochs.
    """
    earlier = earlier or {"loss": [], "val_accuracy": []}
    done = len(earlier["loss"])
    schedule = build_learning_rate_schedule(learning_rate, epochs * len(train_dataset))
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY),
        keras.losses.CategoricalCrossentropy(label_smoothing=LABEL_SMOOTHING),
        metrics=["accuracy"],
    )
    checkpoint = run_folder / "checkpoint.keras"
    model.save(checkpoint)  # what later epochs have to beat
    best = max(earlier["val_accuracy"], default=-1.0)
    history = model.fit(
        train_dataset,
        validation_data=validation_dataset,
        initial_epoch=done,
        epochs=done + epochs,
        shuffle=False,  # the dataset does it
        callbacks=[
            keras.callbacks.ModelCheckpoint(
                checkpoint, "val_accuracy", save_best_only=True, initial_value_threshold=best
            ),
            keras.callbacks.CSVLogger(run_folder / "log.csv", append=True),
            keras.callbacks.TerminateOnNaN(),
        ],
    ).history
    history = {key: earlier.get(key, []) + values for key, values in history.items()}
    check_convergence(history)
    model.set_weights(keras.saving.load_model(checkpoint, compile=False).get_weights())
    checkpoint.unlink()
    return history


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    add_transfer_arguments(parser, BACKBONE, WEIGHTS, VIEWS, BATCH_SIZE)
    parser.set_defaults(image_size=IMAGE_SIZE, epochs=EPOCHS, learning_rate=LEARNING_RATE)
    return parser.parse_args()


if __name__ == "__main__":
    run_script(main)
