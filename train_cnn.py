"""Train a convolutional network (CNN) from scratch to tell flowers, or your own photos, apart.

    python train_cnn.py                       the article's baseline, on tf_flowers
    python train_cnn.py --data my_photos/     one sub-folder per class
    python train_cnn.py --data sample         painted photos, needs no internet

Recipes, with their scores on unseen photos of tf_flowers, see README.md, and the time on two cores:

    python train_cnn.py --recipe base         three Conv2D and pooling layers: 62 %, 1 to 5 minutes
    python train_cnn.py --recipe augmented    the same, on varied photos: 76 %, 3 to 4 minutes
    python train_cnn.py --recipe tuned        the best small network here: 90 %, 35 to 43 minutes
"""

import argparse
import math
from typing import NamedTuple

from vision101.cli import ArgumentParser, parse_training_arguments, run_script
from vision101.photos.index import index_photos, list_classes
from vision101.photos.lists import exclude_photos
from vision101.photos.make_split import make_split
from vision101.photos.sources import find_photos
from vision101.runs import Run, list_constants


class Recipe(NamedTuple):
    """What tells one way of training from another."""

    network: str  # `base_cnn` or `tuned_cnn`
    image_size: int  # pixels per side: twice as many show finer detail, and take four times as long
    epochs: int
    learning_rate: float  # at its peak
    crops: tuple[tuple[float, float], ...] = ()  # see `list_crop_sizes`; none: no augmentation
    mixup: bool = False  # train on blended pairs; how strong: vision101/training/augmentation.py
    average_flip: bool = False  # predict from the mean features of a photo and its mirror image
    label_smoothing: float = 0.0  # share of a label that goes to all classes alike
    weight_decay: float = 0.0


# Overfits after about ten epochs: more would not help.
BASE = Recipe("base_cnn", image_size=128, epochs=15, learning_rate=1e-3)
# Never sees the same picture twice, so it goes on learning for longer.
AUGMENTED = BASE._replace(crops=((1.0, 1.0),), epochs=40)
# A better network, with all that keeps it from overfitting. Random crops show flowers larger than
# photos do, so smaller images are trained on (Touvron et al. 2019, "Fixing the train-test
# resolution discrepancy"). They grow, which is faster and better (Tan & Le 2021, "EfficientNetV2").
TUNED = Recipe(
    "tuned_cnn",
    image_size=176,
    epochs=160,
    learning_rate=2e-3,
    crops=((0.5, 0.545), (0.8, 0.73), (1.0, 0.91)),  # 96, 128 and 160 pixels
    mixup=True,
    average_flip=True,
    label_smoothing=0.1,
    weight_decay=0.05,
)
RECIPES = {"base": BASE, "augmented": AUGMENTED, "tuned": TUNED}
BATCH_SIZE = 32  # with a thousand photos, larger batches would leave few steps to learn in


def main() -> None:
    arguments = parse_arguments()
    recipe = RECIPES[arguments.recipe]
    run = Run("cnn", arguments)

    # Photos, split into subsets with the same number of each class.
    source = find_photos(arguments.data)
    photos = exclude_photos(index_photos(source), source, arguments.exclude)
    split = run.read_split(photos, source) or make_split(photos, source, arguments)
    class_names = list_classes(split["train"])

    # TensorFlow takes seconds to load. By now, all that a user could get wrong has been checked.
    print("Loading TensorFlow")
    import keras

    from vision101.evaluation.evaluate import evaluate_model
    from vision101.evaluation.report import finish_run
    from vision101.training import augmentation, datasets, devices, models, schedule
    from vision101.training.log import TrainingLog

    # What chance starts from, in which precision to compute, and where.
    batch_size, epochs, seed = arguments.batch_size, arguments.epochs, arguments.seed
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(schedule.choose_precision(arguments.precision))
    print(devices.choose_devices(batch_size))

    # Decoded photos. Random crops come from whole ones, not only from the square at their centre.
    share = datasets.take_share(split, batch_size, seed)  # of one process, all
    examples = datasets.decode_split(share, class_names, arguments.image_size)
    train, augment = examples["train"], None
    if recipe.crops:
        sizes = schedule.list_crop_sizes(recipe.crops, arguments.image_size, epochs)
        augment = augmentation.Augmentation(sizes, recipe.mixup)
        train = datasets.decode_whole(share["train"], class_names, augment.photo_size)
    run.end_stage("photos")

    # Datasets. Only training photos are augmented, and shuffled.
    train_dataset = datasets.build_training_dataset(train, batch_size, seed, run.epochs, augment)
    steps = math.ceil(len(split["train"]) / batch_size)

    # The model.
    if recipe.network == "tuned_cnn":
        model = models.build_tuned_cnn(len(class_names))
    else:
        model = models.build_base_cnn(len(class_names), arguments.image_size)
    model.summary()
    rate = schedule.build_learning_rate_schedule(arguments.learning_rate, epochs * steps)
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay),
        keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        weighted_metrics=["accuracy"],  # on several GPUs, filled-up batches count right
    )

    # Train, and keep the weights of the epoch that does best on the validation photos.
    settings = recipe._asdict() | list_constants(augmentation, models, schedule)
    run.start(arguments.recipe, f"{arguments.recipe} CNN", settings, source, split)
    model.fit(
        train_dataset,
        validation_data=datasets.build_dataset(examples["validation"], batch_size),
        initial_epoch=run.epochs,
        epochs=epochs,
        steps_per_epoch=steps,
        shuffle=False,  # the dataset does it
        verbose=0,  # the log shows every epoch
        callbacks=[TrainingLog(run, epochs)],
    )
    run.end_stage("training")
    run.hand_over()  # with JAX, TensorFlow does the rest

    # Calibrate it, and evaluate it once, on photos not trained on. In float32, it runs anywhere.
    print("Evaluating")
    if recipe.average_flip:
        model = models.average_with_flip(model)
    model = models.rebuild_model(model, "float32")
    evaluation = evaluate_model(model, examples, class_names, arguments.target_accuracy)
    run.end_stage("evaluation")

    # Save it, and show what it can do.
    finish_run(run, model, evaluation, examples["unseen"].inputs)


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument("--recipe", choices=RECIPES, default="base", help="default: base")
    return parse_training_arguments(parser, "cnn", BATCH_SIZE, RECIPES)


if __name__ == "__main__":
    run_script(main, may_use_jax=True)
