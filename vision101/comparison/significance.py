"""Which of two runs is better, and whether by more than chance."""

import itertools
from collections import Counter
from typing import NamedTuple

from vision101.comparison.reading import ComparedRun

# Differences that chance would make less often than this count as more than chance.
SIGNIFICANCE_LEVEL = 0.05


class Pair(NamedTuple):
    """Two runs on one split, and on how many unseen photos which of them is right.

    Attributes:
        better, other: Titles; `better` is right on at least as many photos.
        p_value: How often chance alone would make a difference as large or larger, 0-1.
    """

    better: str
    other: str
    both_right: int
    better_only: int
    other_only: int
    both_wrong: int
    p_value: float


def compare_pairs(splits: dict[str, list[ComparedRun]]) -> list[list[Pair]]:
    """Test for each pair of runs on a split whether they differ by more than chance.

    McNemar's exact test: if two runs were equally good, either would be the right one as often as
    the other on the photos where one is right and one is wrong (McNemar 1947, "Note on the
    Sampling Error of the Difference between Correlated Proportions or Percentages"; the exact
    form is the sign test). It knows of chance in which photos were picked, not in training.

    Among many pairs, some would differ by chance. So the p-values are corrected for the number
    of all pairs.

    Returns:
        For each split its pairs, those of the best run first, without those whose files are not
        about the same photos.
    """
    pairs = [
        [
            _count_outcomes(*two)
            for two in itertools.combinations(runs, 2)
            if [outcome[:2] for outcome in two[0].outcomes]
            == [outcome[:2] for outcome in two[1].outcomes]
        ]
        for runs in splits.values()
    ]
    corrected = iter(holm_correction([pair.p_value for group in pairs for pair in group]))
    return [[pair._replace(p_value=next(corrected)) for pair in group] for group in pairs]


def _count_outcomes(first: ComparedRun, second: ComparedRun) -> Pair:
    from scipy.special import bdtr  # here, since --help need not wait for it

    pairs = zip(first.outcomes, second.outcomes, strict=True)
    counts = Counter((one[-1], other[-1]) for one, other in pairs)
    more, fewer = counts[True, False], counts[False, True]
    if fewer > more:
        return _count_outcomes(second, first)
    # The exact sign test: how often fair coins fall as unequally, or more so. At p = 1/2 both tails
    # are alike; where they meet in the middle, twice one is more than 1. This loads in a third of
    # the time of scipy.stats, whose binomtest gives the same.
    p_value = min(1.0, 2 * float(bdtr(fewer, more + fewer, 0.5)))
    right, wrong = counts[True, True], counts[False, False]
    return Pair(first.title, second.title, right, more, fewer, wrong, p_value)


def holm_correction(p_values: list[float]) -> list[float]:
    """Return Holm's corrected p-values, in the order of the given ones.

    With these, the probability of taking even one difference by chance for a real one is at most
    the level that they are held against, however many there are (Holm 1979, "A Simple Sequentially
    Rejective Multiple Test Procedure").
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected
