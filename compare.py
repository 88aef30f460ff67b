"""Set runs side by side: which is better, by how much, and whether that is more than chance.

    python compare.py                            all complete runs in outputs/
    python compare.py outputs/*-cnn-*            only these
    python compare.py --markdown                 just the tables, for a README
    python compare.py --output-dir experiments/  runs that lie elsewhere

Scores of runs on different splits do not compare, so each split has a table of its own. Runs that
differ in nothing but the seed are one recipe, and recipes compare by their means.
"""

import argparse
import sys
from pathlib import Path

from vision101.cli import ArgumentParser, run_script
from vision101.comparison.grouping import group_by_recipe, group_by_split
from vision101.comparison.reading import load_runs
from vision101.comparison.report import (
    describe_recipes,
    describe_splits,
    finish_comparison,
    format_markdown,
    plot_comparison,
    print_sections,
)
from vision101.comparison.significance import compare_pairs
from vision101.files import OUTPUTS_FOLDER, create_folder


def main() -> None:
    arguments = parse_arguments()
    runs, left_out = load_runs(arguments.runs, arguments.output_dir)

    # On one split, all runs were evaluated on the same unseen photos. Their scores compare, and the
    # photos on which two runs disagree tell whether one is better by more than chance.
    splits = group_by_split(runs)
    pairs = compare_pairs(splits)

    # Runs that differ in nothing but the seed show how much is chance in split and training.
    recipes = group_by_recipe(runs)

    # Show it, what tells most first.
    sections = describe_splits(splits, pairs) + describe_recipes(recipes)
    sections.sort(key=lambda section: section.rank)
    if arguments.markdown:
        print(format_markdown(sections), end="")
    else:
        print_sections(sections)
        folder = create_folder(arguments.output_dir, "compare")
        plot_comparison(folder, splits, recipes)
        finish_comparison(folder, sections)
    for line in left_out:
        print(line, file=sys.stderr)


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument(
        "runs", nargs="*", type=Path, metavar="RUN", help="folders; default: all complete runs"
    )
    parser.add_argument(
        "--output-dir",
        type=Path,
        default=OUTPUTS_FOLDER,
        metavar="FOLDER",
        help="where to look for runs, and to write to (default: outputs/ beside the scripts)",
    )
    parser.add_argument(
        "--markdown", action="store_true", help="print just the tables, and write nothing"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run_script(main)
