"""Takes from the folders of finished runs what is compared, and makes sure that it is all there."""

import hashlib
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

from vision101.errors import UserError, shown_name
from vision101.files import read_table
from vision101.finished_runs import list_runs, read_run, refuse_damage
from vision101.runs import PREDICTION_COLUMNS, PREDICTIONS_NAME
from vision101.terminal import count


class ComparedRun(NamedTuple):
    """A finished run, and what its tables say of single photos.

    Attributes:
        folder, config, results, title: As of a `FinishedRun`.
        photos_name: What a person calls its photos.
        photos_hash: Equal for equal photos, whatever their split; without those of --add.
        outcomes: Of each unseen photo content, label and whether the run was right; sorted, so
            that all runs on one split have them in the same order.
    """

    folder: Path
    config: dict
    results: dict
    title: str
    photos_name: str
    photos_hash: str
    outcomes: list[tuple[str, str, bool]]

    @property
    def score(self) -> float:
        """Balanced accuracy on unseen photos, 0-1."""
        return self.results["unseen"]["balanced_accuracy"]

    @property
    def features_seconds(self) -> float | None:
        """Time to compute features, or to find those of an earlier run: the two do not compare.
        None without a pretrained network.
        """
        return self.results["seconds"].get("features")

    @property
    def training_seconds(self) -> float:
        """Time of training, without that of features."""
        seconds = self.results["seconds"]
        return seconds["training"] + seconds.get("fine-tuning", 0)


def load_runs(folders: list[Path], output_folder: Path) -> tuple[list[ComparedRun], list[str]]:
    """Read the runs in `folders`, or if there are none all those below `output_folder`.

    Returns:
        The runs, and lines about what is left out: damaged folders, and runs that did not finish.

    Raises:
        UserError: There is no complete run.
    """
    runs, problems = [], []
    for folder in dict.fromkeys(path.resolve() for path in folders or list_runs(output_folder)):
        try:
            runs.append(_load_run(folder))
        except UserError as error:
            problems.append(str(error))
    if not runs:
        raise UserError(problems[0])
    left_out = [f"Left out: {problem}" for problem in problems]
    started = [] if folders else sorted(path.parent for path in output_folder.glob("*/config.json"))
    unfinished = [path.name for path in started if not (path / "results.json").exists()]
    if unfinished:
        number, names = count(len(unfinished), "run"), ", ".join(unfinished)
        left_out.append(f"{number} did not finish: {names}; go on with --resume, or remove them")
    return runs, left_out


def _load_run(folder: Path) -> ComparedRun:
    run = read_run(folder)
    # A PureWindowsPath takes both / and \ for separators: a run may come from any system.
    photos_name = shown_name(PureWindowsPath(run.config["photos"]))
    photos_name += " (painted sample photos)" if run.config["painted"] else ""
    with refuse_damage(folder / "split.csv"):
        photos_hash = _hash_photos(folder / "split.csv")
    path, class_names = folder / PREDICTIONS_NAME, {*run.config["class_names"]}
    with refuse_damage(path):
        outcomes = []
        for sha256, subset, label, predicted in read_table(path, PREDICTION_COLUMNS[1:5]):
            if not {label, predicted} <= class_names:
                raise ValueError(f"{label!r} or {predicted!r} is no class")
            if subset == "unseen":
                outcomes.append((sha256, label, label == predicted))
        if len(outcomes) != run.results["unseen"]["count"]:
            raise ValueError("it lacks photos")
    outcomes.sort()
    return ComparedRun(*run, run.title, photos_name, photos_hash, outcomes)


def _hash_photos(path: Path) -> str:
    # Photos that a person added lie elsewhere, and belong to the recipe: theirs are whole paths,
    # which have a root on any system.
    contents = sorted(
        f"{label} {sha256}\n"
        for place, label, sha256 in read_table(path, ("path", "label", "sha256"))
        if not PureWindowsPath(place).root
    )
    return hashlib.sha256("".join(contents).encode(errors="surrogateescape")).hexdigest()
