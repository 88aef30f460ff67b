"""Takes from the folders of finished runs what is compared, and makes sure that it is all there."""

import csv
import hashlib
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

from vision101.errors import UserError, shown_name, shown_path
from vision101.finished_runs import list_runs, read_run
from vision101.runs import PREDICTION_COLUMNS, PREDICTIONS_NAME


class ComparedRun(NamedTuple):
    """A finished run, and what its tables say of single photos.

    Attributes:
        folder, title, config, results: As of a `FinishedRun`; all that is compared is there.
        photos_name: What a person calls its photos.
        photos_hash: Equal for equal photos, whatever their split; without those of --add.
        outcomes: Of each unseen photo content, label and whether the run was right; sorted, so
            that all runs on one split have them in the same order.
    """

    folder: Path
    title: str
    config: dict
    results: dict
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
        runs_did = "1 run did" if len(unfinished) == 1 else f"{len(unfinished)} runs did"
        names = ", ".join(unfinished)
        left_out.append(f"{runs_did} not finish: {names}; remove them or train again")
    return runs, left_out


def _load_run(folder: Path) -> ComparedRun:
    try:
        run = read_run(folder)
        config, results = run.config, run.results
        # A PureWindowsPath takes both / and \ for separators: a run may come from any system.
        photos_name = shown_name(PureWindowsPath(config["photos"]))
        photos_name += " (painted sample photos)" if config["painted"] else ""
        hashes = _hash_photos(folder), _read_outcomes(folder)
        loaded = ComparedRun(folder, str(run.title), config, results, photos_name, *hashes)
        if len(loaded.outcomes) != results["unseen"]["count"]:
            raise ValueError(f"{PREDICTIONS_NAME} lacks photos")
        # What is compared must be there, and be numbers: others do not add up.
        low, high = results["unseen"]["balanced_accuracy_interval"]
        validation, confidence = results["validation"], results["confidence"]
        sum([loaded.score, low, high, validation["balanced_accuracy"], validation["count"]])
        sum([confidence["expected_calibration_error"], confidence["coverage"]])
        sum([results["parameters"], results["seconds_per_photo"], loaded.training_seconds])
        sum([config["seed"], int(config["split_hash"], 16), loaded.features_seconds or 0])
        optional = config.get("target_accuracy"), config.get("per_class")
        sum(filter(None, [confidence["accepted_accuracy"], *optional]))
        return loaded
    except (OSError, csv.Error, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(
            f"{shown_path(folder)}: cannot be read ({type(error).__name__}: {error}); leave it "
            "out, or train again"
        ) from error


def _hash_photos(folder: Path) -> str:
    headings, *rows = _read_table(folder / "split.csv")
    path, label, sha256 = (headings.index(name) for name in ("path", "label", "sha256"))
    # Photos that a person added lie elsewhere, and belong to the recipe: theirs are whole paths,
    # which have a root on any system.
    contents = sorted(
        f"{row[label]} {row[sha256]}\n" for row in rows if not PureWindowsPath(row[path]).root
    )
    return hashlib.sha256("".join(contents).encode(errors="surrogateescape")).hexdigest()


def _read_outcomes(folder: Path) -> list[tuple[str, str, bool]]:
    headings, *rows = _read_table(folder / PREDICTIONS_NAME)
    # By position, since a class may be called like one of these columns.
    if tuple(headings[:5]) != PREDICTION_COLUMNS[:5]:
        raise ValueError(f"{PREDICTIONS_NAME} lacks columns")
    return sorted(
        (sha256, label, label == predicted)
        for _, sha256, subset, label, predicted, *_ in rows
        if subset == "unseen"
    )


def _read_table(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.reader(file)) or [[]]
