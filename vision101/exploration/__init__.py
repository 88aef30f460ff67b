"""Step 2 of the article: look at the photos before training on them.

`observations.py` turns each photo into the article's nine observations, as numbers, and
`advice.py` turns these into suggestions for augmentation. `checks.py` lists files that are broken
or odd, and label issues. `plots.py` draws all of it, and `report.py` puts it on one page. Start
reading in `explore.py`, which calls them in this order; then in `observations.py`.
"""
