"""Photos: from what `--data` names to lists of photos to train and evaluate on.

Start with `split.py`, which is what makes the scores honest, and `make_split.py`, which applies
the flags to it. Before them, `sources.py` finds the folder that `--data` names (it downloads one,
paints one with `sample.py`, copies one with `remote.py`, unpacks one with `archives.py`, or reads
the table of `labelled.py`); `layouts.py` tells what in it are classes; `index.py` lists the photos,
reading each once with `reading.py`; `duplicates.py` finds those that must stay together. `lists.py`
takes in what a person says of them: `--exclude` and `--add`. No photo is ever changed.
"""
