"""Runs side by side: which is better, and whether by more than chance."""

import csv
import hashlib
import itertools
import json
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest

from vision101.errors import UserError, shown_name, shown_path
from vision101.runs import (
    CONFIG_NAME,
    PREDICTION_COLUMNS,
    PREDICTIONS_NAME,
    RESULTS_NAME,
    list_runs,
)

# Differences that chance would make less often than this count as more than chance.
SIGNIFICANCE_LEVEL = 0.05

# What training takes, of the stages in results.json. Features belong to it: without them, each
# epoch would go through the backbone.
TRAINING_STAGES = ("features", "training", "fine-tuning")

# Settings in config.json that two seeds of one recipe may differ in. Whether the photos are the
# same is seen by their contents, and the rest follows from other settings or decides no score.
NOT_OF_RECIPE = {
    "class_names",
    "data",
    "dtype_policy",
    "exclude",
    "name",
    "output_dir",
    "painted",
    "photos",
    "seed",
    "split_hash",
    "target_accuracy",
    "versions",
}


class Outcome(NamedTuple):
    """Whether a run was right about one photo; sorts equally for all runs on one split."""

    sha256: str
    label: str
    path: str
    right: bool


class Run(NamedTuple):
    """A complete run.

    Attributes:
        folder: Where it lies.
        title: What it is called.
        config, results: Content of its `config.json` and `results.json`.
        photos_hash: Equal for equal photos, whatever their split; without those of --add.
        outcomes: For the unseen photos, sorted.
    """

    folder: Path
    title: str
    config: dict
    results: dict
    photos_hash: str
    outcomes: list[Outcome]

    @property
    def score(self) -> float:
        """Balanced accuracy on unseen photos, 0-1."""
        return self.results["unseen"]["balanced_accuracy"]

    @property
    def settings(self) -> dict:
        """All that makes the recipe; without what was not asked for."""
        settings = {
            key: value
            for key, value in self.config.items()
            if key not in NOT_OF_RECIPE and value is not None
        }
        # Each seed may have a list of its own: of the photos that its model was not sure of.
        return settings | ({"add": "reviewed photos"} if "add" in settings else {})


class Split(NamedTuple):
    """Runs that were judged on the same photos.

    Attributes:
        heading: Tells the split from others.
        runs: The best first; no two have the same title.
    """

    heading: str
    runs: list[Run]


class Recipe(NamedTuple):
    """Runs that differ in nothing but the seed.

    Attributes:
        title: Tells the recipe from others on the same photos.
        scores: For each seed the balanced accuracy on unseen photos, 0-1; the mean of several
            runs of one seed.
        seconds: Of training, for each run.
    """

    title: str
    scores: dict[int, float]
    seconds: list[float]

    @property
    def mean(self) -> float:
        """Mean over the seeds, 0-1."""
        return statistics.mean(self.scores.values())


class Pair(NamedTuple):
    """Two runs on one split, and on how many unseen photos which of them is right.

    Attributes:
        better, other: Titles; `better` is right on at least as many photos.
        both_right, better_only, other_only, both_wrong: Counts of photos.
        p_value: How often chance alone would make a difference as large or larger, 0-1.
    """

    better: str
    other: str
    both_right: int
    better_only: int
    other_only: int
    both_wrong: int
    p_value: float


def load_runs(folders: list[Path], output_folder: Path) -> list[Run]:
    """Return the runs in `folders`, or if there are none all complete ones in `output_folder`.

    Raises:
        UserError: A folder that was named is not one of a complete run, or there is no run.
    """
    if folders:
        return [_load_run(folder) for folder in dict.fromkeys(path.resolve() for path in folders)]
    runs = []
    for folder in list_runs(output_folder):
        try:
            runs.append(_load_run(folder))
        except UserError as error:
            # One damaged folder must not keep the others from being compared.
            print(f"Left out: {error}", file=sys.stderr)
    if not runs:
        raise UserError(f"no run in {shown_path(output_folder)} can be read; train one again")
    return runs


def _load_run(folder: Path) -> Run:
    if not (folder / CONFIG_NAME).is_file():
        raise UserError(f"{shown_path(folder)}: not the folder of a run; name one below outputs/")
    if not (folder / RESULTS_NAME).is_file():
        raise UserError(
            f"{shown_path(folder)}: has no {RESULTS_NAME}, so its training did not finish; "
            "name a complete run"
        )
    try:
        config = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
        results = json.loads((folder / RESULTS_NAME).read_text(encoding="utf-8"))
        # Photos that a person added lie elsewhere, and belong to the recipe.
        photos = sorted(
            f"{row['label']} {row['sha256']}\n"
            for row in _read_split(folder)
            if not Path(row["path"]).is_absolute()
        )
        photos_hash = hashlib.sha256("".join(photos).encode(errors="surrogateescape")).hexdigest()
        outcomes = _read_outcomes(folder, results["unseen"]["count"])
        run = Run(folder, results["title"], config, results, photos_hash, outcomes)
        # Without these, it could not be shown.
        _ = run.score + results["parameters"] + results["seconds_per_photo"]
        _ = results["seconds"]["training"], results["confidence"]["answered"], results["painted"]
        _ = config["split_hash"], config["seed"], config["photos"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise UserError(
            f"{shown_path(folder)}: cannot be read ({type(error).__name__}: {error}); leave it "
            "out, or train again"
        ) from error
    return run


def _read_split(folder: Path) -> list[dict[str, str]]:
    path = folder / "split.csv"
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def _read_outcomes(folder: Path, count: int) -> list[Outcome]:
    path = folder / PREDICTIONS_NAME
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        headings, *rows = list(csv.reader(file)) or [[]]
    # By position, since a class may be called like one of these columns.
    if tuple(headings[:5]) != PREDICTION_COLUMNS[:5]:
        raise ValueError(f"{PREDICTIONS_NAME} lacks columns")
    outcomes = sorted(
        Outcome(sha256, label, path, label == predicted)
        for path, sha256, part, label, predicted, *_ in rows
        if part == "unseen"
    )
    if len(outcomes) != count:
        raise ValueError(f"{PREDICTIONS_NAME} lacks photos")
    return outcomes


def group_by_split(runs: Iterable[Run]) -> list[Split]:
    """Return the runs on each split; scores on different splits do not compare."""
    groups = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.score, reverse=True):
        groups[run.config["split_hash"]].append(run)
    splits = []
    for split_hash, group in groups.items():
        titles = _tell_apart(
            group,
            lambda run: (
                run.settings | {key: run.config.get(key) for key in ("name", "target_accuracy")}
            ),
        )
        named = [run._replace(title=title) for run, title in zip(group, titles, strict=True)]
        seed, photos = group[0].config["seed"], _name_photos(group[0])
        heading = f"Split {split_hash[:8]}, seed {seed}: {photos}"
        splits.append((photos, seed, Split(heading, named)))
    return [split for *_, split in sorted(splits, key=lambda entry: entry[:2])]


def _name_photos(run: Run) -> str:
    name = shown_name(Path(run.config["photos"]))
    return f"{name} (painted sample photos)" if run.results["painted"] else name


def _tell_apart(runs: list[Run], settings: Callable[[Run], dict]) -> list[str]:
    """Return the runs' titles; where some are the same, with the settings that differ."""
    titles = [run.title for run in runs]
    counts = Counter(titles)
    for title in [title for title, count in counts.items() if count > 1]:
        same = {index: settings(run) for index, run in enumerate(runs) if run.title == title}
        keys = sorted({key for values in same.values() for key in values})
        differing = [
            key for key in keys if len({str(values.get(key)) for values in same.values()}) > 1
        ]
        for index, values in same.items():
            told = [
                f"{key.replace('_', ' ')} {values[key]}"
                for key in differing
                if values.get(key) is not None
            ]
            titles[index] = ", ".join([title, *told])
    counts = Counter(titles)
    return [
        f"{title} ({run.folder.name})" if counts[title] > 1 else title
        for title, run in zip(titles, runs, strict=True)
    ]


def group_by_recipe(runs: Iterable[Run]) -> dict[str, list[Recipe]]:
    """Return for each set of photos its recipes, the best first.

    A recipe is what runs on the same photos share that differ in nothing but the seed. Sets of
    photos on which no recipe has two seeds are left out: there, the splits tell all. With another
    --per-class, each seed is another split, so that makes another set.
    """
    photo_sets = defaultdict(lambda: defaultdict(list))
    for run in runs:
        split_by = run.photos_hash, run.config.get("per_class")
        photo_sets[split_by][json.dumps(run.settings, sort_keys=True)].append(run)
    found = {}
    for (photos_hash, per_class), groups in photo_sets.items():
        first_runs = [group[0] for group in groups.values()]
        recipes = []
        for title, group in zip(
            _tell_apart(first_runs, lambda run: run.settings), groups.values(), strict=True
        ):
            of_seed = defaultdict(list)
            for run in group:
                of_seed[run.config["seed"]].append(run.score)
            scores = {seed: statistics.mean(of_seed[seed]) for seed in sorted(of_seed)}
            recipes.append(Recipe(title, scores, [sum_training_seconds(run) for run in group]))
        if any(len(recipe.scores) > 1 for recipe in recipes):
            name = _name_photos(first_runs[0])
            name += f", {per_class} of each class to train and validate on" if per_class else ""
            if name in found:  # the same folder, but other photos in it
                name += f", {photos_hash[:8]}"
            found[name] = sorted(recipes, key=lambda recipe: recipe.mean, reverse=True)
    return found


def sum_training_seconds(run: Run) -> float:
    """Return the seconds that a run's training took, its features included."""
    return sum(run.results["seconds"].get(stage, 0.0) for stage in TRAINING_STAGES)


def compare_pairs(splits: list[Split]) -> list[list[Pair]]:
    """Test for each pair of runs on a split whether they differ by more than chance.

    McNemar's exact test: if two runs were equally good, either would be the right one as often as
    the other on the photos where one is right and one is wrong (McNemar 1947, "Note on the
    Sampling Error of the Difference between Correlated Proportions or Percentages"; the exact
    form is the sign test). It knows of chance in which photos were picked, not in training.

    Among many pairs, some would differ by chance. So the p-values are corrected for the number
    of all pairs: Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure".

    Returns:
        For each split its pairs, those of the best run first, without those whose files are not
        about the same photos.
    """
    pairs = [
        [
            _count_outcomes(*two)
            for two in itertools.combinations(split.runs, 2)
            if [outcome[:2] for outcome in two[0].outcomes]
            == [outcome[:2] for outcome in two[1].outcomes]
        ]
        for split in splits
    ]
    corrected = iter(holm_correction([pair.p_value for group in pairs for pair in group]))
    return [[pair._replace(p_value=next(corrected)) for pair in group] for group in pairs]


def _count_outcomes(first: Run, second: Run) -> Pair:
    counts = Counter(
        (one.right, other.right) for one, other in zip(first.outcomes, second.outcomes, strict=True)
    )
    first_only, second_only = counts[True, False], counts[False, True]
    if second_only > first_only:
        first, second = second, first
        first_only, second_only = second_only, first_only
    discordant = first_only + second_only
    return Pair(
        first.title,
        second.title,
        counts[True, True],
        first_only,
        second_only,
        counts[False, False],
        float(binomtest(first_only, discordant).pvalue) if discordant else 1.0,
    )


def holm_correction(p_values: list[float]) -> list[float]:
    """Return Holm's corrected p-values, in the order of the given ones.

    With these, the probability of taking even one difference by chance for a real one is at most
    the level that they are held against, however many there are.
    """
    order = np.argsort(p_values)
    steps = (len(p_values) - np.arange(len(p_values))) * np.array(p_values)[order]
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(1, np.maximum.accumulate(steps))
    return corrected.tolist()
