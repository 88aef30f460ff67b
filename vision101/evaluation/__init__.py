"""Step 8, how good a model is on photos that it has not seen, and when to believe it.

Start with `evaluate.py`. It predicts once, calibrates the model on validation photos
(`calibration.py`), learns which photos are unlike the training photos (`out_of_distribution.py`)
and scores the rest (`scores.py`). `report.py` ends a run: it saves all that, prints the verdict
(`verdict.py`) and writes the pictures (`plots.py`) and the page, with where the model looked
(`grad_cam.py`) and how it sees the photos (`embeddings.py`).
"""
