"""Puts together what compares: runs on one split, and runs that differ in nothing but the seed."""

import statistics
from collections import Counter, defaultdict
from pathlib import PureWindowsPath
from typing import NamedTuple

from vision101.comparison.reading import ComparedRun
from vision101.errors import shown_name

# Entries of config.json that two seeds of one recipe may differ in. Whether the photos are the
# same is seen by their contents, and the rest follows from other entries or decides no score.
NOT_OF_RECIPE = {
    *("class_names", "data", "dtype_policy", "exclude", "name", "output_dir", "painted", "photos"),
    *("seed", "split_hash", "target_accuracy", "versions"),
}


class SeedGroup(NamedTuple):
    """Runs that differ in nothing but the seed."""

    title: str  # tells their recipe from others on the same photos
    scores: dict[int, float]  # balanced accuracy on unseen photos, 0-1: mean of each seed's runs
    training_seconds: float  # mean of the runs
    runs: list[ComparedRun]

    @property
    def score(self) -> float:
        """Mean over the seeds, 0-1."""
        return statistics.mean(self.scores.values())


def group_by_split(runs: list[ComparedRun]) -> dict[str, list[ComparedRun]]:
    """Return under a heading for each split its runs, the best first, with titles that differ.
    Splits with a single run, which compares with none, come last.
    """
    groups = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.score, reverse=True):
        groups[run.config["split_hash"]].append(run)
    splits = {}
    keys = (
        (len(runs) == 1, runs[0].photos_name, runs[0].config["seed"], key)
        for key, runs in groups.items()
    )
    for _, photos, seed, split_hash in sorted(keys):
        config = groups[split_hash][0].config
        per_class, folds = config.get("per_class"), config.get("folds")
        heading = f"{photos}, seed {seed}" + (f", {per_class} of each class" if per_class else "")
        heading += f", {folds} folds" if folds else ""
        heading += f", split {split_hash[:8]}" if heading in splits else ""
        splits[heading] = _tell_apart(groups[split_hash], "name", "target_accuracy")
    return splits


def group_by_recipe(runs: list[ComparedRun]) -> dict[str, list[SeedGroup]]:
    """Return for each set of photos the seeds of each recipe, the best recipe first.

    Sets of photos on which no recipe has two seeds are left out: there, the splits tell all. With
    another --per-class or --folds, each seed is another split, so that makes another set.
    """
    photo_sets = defaultdict(lambda: defaultdict(list))
    for run in sorted(runs, key=lambda run: run.config["seed"]):
        # A flag that was not used does not count: earlier versions may not have had it.
        recipe = frozenset(setting for setting in _find_settings(run).items() if setting[1])
        pool = run.config.get("per_class"), run.config.get("folds")
        photo_sets[run.photos_hash, pool][recipe].append(run)
    found = {}
    for (photos_hash, (per_class, folds)), recipes in photo_sets.items():
        titled = _tell_apart([runs[0] for runs in recipes.values()])
        groups = list(map(_group_seeds, titled, recipes.values()))
        if any(len(group.scores) > 1 for group in groups):
            name = titled[0].photos_name
            name += f", {per_class} of each class to train and validate on" if per_class else ""
            name += f", {folds} folds" if folds else ""
            if name in found:  # the same folder, but other photos in it
                name += f", {photos_hash[:8]}"
            found[name] = sorted(groups, key=lambda group: group.score, reverse=True)
    return found


def _group_seeds(titled: ComparedRun, runs: list[ComparedRun]) -> SeedGroup:
    scores = defaultdict(list)
    for run in runs:
        scores[run.config["seed"]].append(run.score)
    means = {seed: statistics.mean(of_seed) for seed, of_seed in scores.items()}
    seconds = statistics.mean(run.training_seconds for run in runs)
    return SeedGroup(
        titled.title, means, seconds, [run._replace(title=titled.title) for run in runs]
    )


def _tell_apart(runs: list[ComparedRun], *other_entries: str) -> list[ComparedRun]:
    """Return the runs with titles that differ: by the entries of `config.json` that do, or else by
    the folder.
    """
    entries = [(run.title, _find_settings(run, *other_entries)) for run in runs]
    titles = []
    for title, own in entries:
        same = [others for other_title, others in entries if other_title == title]
        # An entry that only some of them have is not told: earlier versions did not record it.
        told = [
            f"{name} {value}"
            for name, value in sorted(own.items())
            if value and any(others.get(name, value) != value for others in same)
        ]
        titles.append(", ".join([title, *told]))
    counts = Counter(titles)
    return [
        run._replace(title=f"{title} ({shown_name(run.folder)})" if counts[title] > 1 else title)
        for run, title in zip(runs, titles, strict=True)
    ]


def _find_settings(run: ComparedRun, *other_entries: str) -> dict[str, str]:
    """Return the entries of a run's `config.json` that make its recipe, and others by name, as a
    person reads them: those of a dictionary one by one, and "" for None.
    """
    settings = {}
    for name, value in run.config.items():
        if name in NOT_OF_RECIPE.difference(other_entries):
            continue
        if name == "add" and value:
            # Each seed may have a list of its own: of the photos that its model was not sure of.
            value = "reviewed photos"
        elif name == "weights":
            # The same file lies in other folders on other machines.
            value = shown_name(PureWindowsPath(str(value)))
        for key, item in value.items() if isinstance(value, dict) else [("", value)]:
            text = f"{item:g}" if isinstance(item, float) else str(item)
            settings[f"{name} {key}".replace("_", " ").strip()] = "" if item is None else text
    return settings
