"""Look at your photos before training on them, and find what is wrong with them.

    python explore.py                            tf_flowers, with the ImageNet ResNet50
    python explore.py --data my_photos/          one sub-folder per class
    python explore.py --skip-labels              needs no pretrained network
    python explore.py --run outputs/<run>        finds label issues with a network of your own

Writes pictures, lists and report.html to outputs/<time>-explore/; the photos are not changed. Go
through the lists, and give them to the training scripts as --exclude FILE.csv. The 3,670 photos of
tf_flowers take about half a minute on two processor cores. For label issues, the features of
ResNet50, ResNet50V2, MobileNet, MobileNetV2 or EfficientNetV2B0 take another minute or two, once.
"""

import argparse
import shutil

from vision101.cli import ArgumentParser, add_explore_arguments, run_script
from vision101.errors import UserError, shown_name
from vision101.files import create_folder
from vision101.finished_runs import read_run
from vision101.photos.duplicates import find_near_duplicates
from vision101.photos.index import index_files, keep_readable
from vision101.photos.lists import exclude_photos
from vision101.photos.sources import find_photos

BACKBONE, WEIGHTS = "ResNet50", "imagenet"  # as in train_transfer.py, to share features
IMAGE_SIZE = 224  # pixels per side: the largest that the training scripts use by default


def main() -> None:
    arguments = parse_arguments()
    image_size = arguments.image_size

    # Photos, and files that cannot be read as photos.
    source = find_photos(arguments.data)
    if arguments.run:
        read_run(arguments.run)  # which fails for what is no run, before minutes are spent
    files = index_files(source)
    photos = exclude_photos(keep_readable(files, source), source, arguments.exclude)
    title = "Painted sample photos" if source.painted else shown_name(source.folder)
    folder = create_folder(arguments.output_dir, "explore", arguments.name)
    try:
        network, note = find_network(arguments)
    except UserError:
        shutil.rmtree(folder)  # nothing is in it yet
        raise

    # These take seconds to load. By now, all that a user could get wrong has been checked.
    from vision101.exploration import checks, plots, report
    from vision101.exploration.advice import advise
    from vision101.exploration.duplicates import describe_duplicates, write_duplicates
    from vision101.exploration.observations import measure_photos, write_measurements

    # How many, how large, and what they look like.
    print("Drawing pictures")
    plots.plot_photos(folder, photos, image_size, title)

    # The article's nine observations, and the augmentation that follows from them.
    measurements = measure_photos(photos)
    write_measurements(folder, photos, measurements, source)
    plots.plot_measurements(folder, photos, measurements, title)
    advice = advise(photos, measurements, image_size)

    # Files that are broken, tiny or extreme, and duplicates.
    problems = checks.check_files(files, photos, measurements.values["contrast"], image_size)
    checks.write_file_problems(folder, problems, source)
    positions = list(find_near_duplicates(photos))
    duplicates = describe_duplicates(photos, positions)
    write_duplicates(folder, duplicates, source)

    # Label issues: what a classifier that has not learned from a photo takes for another class.
    label_check = checks.LabelCheck([], None, note)
    if network:
        from vision101.training.features import compute_features

        features = compute_features(network, photos, 1, "all photos")[:, 0]
        label_check = checks.check_labels(photos, features, positions, note)
        checks.write_label_issues(folder, label_check.issues, source)

    # All of it on one page.
    print("Writing the page")
    plots.plot_findings(folder, photos, duplicates, label_check.issues, title)
    found = report.Exploration(
        title, arguments.data, photos, measurements, advice, problems, duplicates, label_check
    )
    report.write_page(folder, found)
    report.print_summary(folder, found)


def find_network(arguments: argparse.Namespace):
    """Return the network for the check of labels, and what to say of it; or None, and why.

    It computes in float32, Keras's default: so what is found does not depend on the machine.
    """
    if arguments.skip_labels:
        return None, "Labels were not checked, because of --skip-labels."
    print("Loading TensorFlow")
    from vision101.training.backbones import build_backbone, cut_classifier

    if arguments.run:
        from vision101.prediction import load_classifier

        classifier = load_classifier(arguments.run, with_keras=True)
        network = cut_classifier(classifier.model, classifier.image_size, arguments.run.name)
        return network, (
            f"Labels were checked with the run {network.name}. It learned from some of these "
            "photos with their labels as they are, and so it finds fewer issues among those than "
            "it should."
        )
    try:
        backbone = arguments.backbone or BACKBONE
        network = build_backbone(backbone, arguments.weights, arguments.image_size)
    except UserError as error:
        if arguments.backbone or arguments.weights != WEIGHTS:
            raise
        return None, f"Labels were not checked: {error}; or use --run, with a run of your own."
    quality = "pretrained" if network.pretrained else "with random weights, which know little"
    return network, f"Labels were checked with {network.name}, {quality}."


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    add_explore_arguments(parser, IMAGE_SIZE, BACKBONE, WEIGHTS)
    # Only the default network may be absent: one that was asked for must be there.
    parser.set_defaults(backbone=None)
    return parser.parse_args()


if __name__ == "__main__":
    run_script(main)
