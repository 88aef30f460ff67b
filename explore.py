"""Look at your photos before training on them, and find what is wrong with them.

    python explore.py                            tf_flowers, with the ImageNet ResNet50
    python explore.py --data my_photos/          one sub-folder per class
    python explore.py --skip-labels              needs no pretrained network
    python explore.py --run outputs/<run>        doubts labels with a network of your own

Writes pictures, lists and report.html to outputs/<time>-explore/; the photos are not changed. Give
what you find wrong to the training scripts as --exclude FILE.csv. For 2,962 photos it takes about a
minute on two processor cores, and longer for the features that labels are checked with.
"""

import argparse

import keras

from vision101.cli import ArgumentParser, add_explore_arguments, run_script
from vision101.errors import UserError, shown_name
from vision101.exploration.advice import advise
from vision101.exploration.checks import find_file_problems, write_file_problems
from vision101.exploration.labels import LabelCheck, find_label_issues, write_label_issues
from vision101.exploration.observations import measure_photos, write_measurements
from vision101.exploration.report import (
    plot_findings,
    plot_measurements,
    plot_photos,
    print_findings,
    write_page,
)
from vision101.photos.duplicates import describe_duplicates, find_near_duplicates, write_duplicates
from vision101.photos.index import index_files, keep_readable
from vision101.photos.lists import exclude_photos
from vision101.photos.sources import find_photos
from vision101.runs import create_folder, find_run, load_run
from vision101.training.backbones import Backbone, build_backbone, cut_classifier
from vision101.training.features import compute_features
from vision101.training.schedule import choose_precision

BACKBONE, WEIGHTS = "ResNet50", "imagenet"  # as in train_transfer.py, to share features
IMAGE_SIZE = 224  # pixels per side: the largest that the training scripts use by default


def main() -> None:
    arguments = parse_arguments()
    image_size = arguments.image_size

    # Photos, and files that cannot be read as photos.
    source = find_photos(arguments.data)
    files = index_files(source)
    photos = exclude_photos(keep_readable(files, source), source, arguments.exclude)
    title = "Painted sample photos" if source.painted else shown_name(source.folder)
    network, note = find_network(arguments)
    folder = create_folder(arguments.output_dir, "explore", arguments.name)

    # How many, how large, and what they look like.
    plot_photos(folder, photos, image_size, title)

    # The article's nine observations, and the augmentation that follows from them.
    measurements = measure_photos(photos)
    write_measurements(folder, photos, measurements, source)
    plot_measurements(folder, photos, measurements, title)
    advice = advise(photos, measurements, image_size)

    # Files that are broken, tiny or extreme, and duplicates.
    problems = find_file_problems(files, photos, measurements.values["contrast"], image_size)
    write_file_problems(folder, problems, source)
    positions = list(find_near_duplicates(photos))
    duplicates = describe_duplicates(photos, positions)
    write_duplicates(folder, duplicates, source)

    # Labels that are doubted by a classifier which has not learnt from them.
    check = LabelCheck([], None, note)
    if network:
        features = compute_features(network, photos, 1, "all photos")[:, 0]
        check = find_label_issues(photos, features, positions, note)
        write_label_issues(folder, check.label_issues, source)

    # All of it on one page.
    plot_findings(folder, duplicates, check.label_issues, title)
    write_page(folder, photos, measurements, advice, problems, duplicates, check, title)
    print_findings(folder, photos, advice, problems, duplicates, check)


def find_network(arguments: argparse.Namespace) -> tuple[Backbone | None, str]:
    """Return the network for the check of labels, and what to say of it; or None, and why."""
    if arguments.skip_labels:
        return None, "Labels were not checked, because of --skip-labels."
    if arguments.run:
        run_folder = find_run(arguments.run, arguments.output_dir)
        run = load_run(run_folder)
        network = cut_classifier(run.model, run.config["image_size"], run_folder.name)
        return network, (
            f"Features of the run {run_folder.name}. It has learnt from some of these photos with "
            "their labels as they are, and so doubts those less than it should."
        )
    keras.config.set_dtype_policy(choose_precision("auto"))
    try:
        backbone = arguments.backbone or BACKBONE
        network = build_backbone(backbone, arguments.weights, arguments.image_size)
    except UserError as error:
        if arguments.backbone or arguments.weights != WEIGHTS:
            raise
        return None, f"Labels were not checked: {error}; or check with --run, a run of your own."
    return network, f"Features of {network.name}" + (
        ", pretrained." if network.pretrained else " with random weights, which know little."
    )


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    add_explore_arguments(parser, IMAGE_SIZE, BACKBONE, WEIGHTS)
    # Only the default network may be absent: one that was asked for must be there.
    parser.set_defaults(backbone=None)
    return parser.parse_args()


if __name__ == "__main__":
    run_script(main)
