"""The plumbing that the scripts share: a folder for each step of the article.

photos/       where photos come from, reading, the index, duplicates, the split
exploration/  what photos are like before training, and what is wrong with them
training/     datasets, augmentation, networks, pretrained backbones and their features
evaluation/   how good a trained model is on photos that it has not seen
comparison/   runs side by side

Beside them, what several steps share:

cli.py            flags, and how a script ends; only scripts import it
environment.py    what a user's machine sets for others, and scripts must not heed
errors.py         errors that a user can act on
files.py          data/ and outputs/, atomic writes
figures.py        Matplotlib, colours
terminal.py       sentences, tables and progress bars
pages.py          pages to read in a browser, from templates/
runs.py           a run in the making, and the names of its files
processes.py      several processes that train together, with JAX
resume.py         a run that was interrupted goes on
finished_runs.py  runs that have finished: found, read, and checked
portable.py       the model of a run for machines without TensorFlow
prediction.py     a trained run asked about new photos
incoming.py       the photos that predict.py is asked about
formats.py        predictions as text, tables and JSON
demo.py           the page of demo.py

Importing this package, or a module of photos/, changes nothing and loads no TensorFlow.
"""
