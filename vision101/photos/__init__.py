"""Photos: from what `--data` names to lists of photos to train and evaluate on.

Start with `split.py`, which is what makes the scores honest. Before it, `sources.py` finds the
folder that `--data` names (it paints one with `sample.py`, downloads one with `tf_flowers.py` or
unpacks one with `archives.py`), `index.py` lists the photos in it, reading each once with
`reading.py`, and `duplicates.py` finds those that show the same picture. `lists.py` takes in what a
person has to say about them: `--exclude` and `--add`. No photo is ever changed.
"""
