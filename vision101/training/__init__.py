"""Training: steps 4 to 7 of the article, from photos to a trained network.

Photos become batches (`datasets`; `records` has those that do not fit into memory), varied at
random (`augmentation`); a network (`models`), or a small head on the features of a pretrained one
(`backbones`, `features`, `views`), learns from them at a changing rate (`schedule`), on one device
or several (`devices`), and every epoch is kept (`log`). Of few photos, several heads learn in turn,
so that each photo is unseen by one of them (`folds`). Start with train_cnn.py, which calls all of
it, and then read `models`.
"""
