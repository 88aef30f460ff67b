"""The plumbing that the scripts share: one module for each stage of the pipeline, in this order.

command_line       flags, and errors that a user can act on
files              writes files whole or not at all
sample             paints the built-in photos; nothing in it is about learning
sources            --data: where the photos come from
photos             reads photos, and keeps an index of them
observations       what can be measured of a photo
advice             the augmentation that follows from it
audit              files that are broken, tiny or extreme
duplicates         photos of the same picture, or nearly so
split              train, validation, unseen and surplus
review             what a person decided: photos to leave out, photos to add
augmentation       random variations of training photos
datasets           decoded photos as tf.data pipelines
models             the networks
training           precision and learning-rate schedule
backbones          pretrained networks, frozen
features           outputs of a frozen backbone, computed once and kept
labels             photos whose label a classifier doubts
evaluation         scores with intervals
confidence         calibration, and the threshold of "not sure"
novelty            photos that are like none of the classes
judgement          scores, confidence and novelty of a trained model together
explanation        where a model looked
runs               one folder per run
answers            a model's answers for new photos
plots              pictures of curves, mistakes and photos
report             pages to read in a browser
run_report         the page of a training run
comparison         runs side by side: which is better, and whether by more than chance
comparison_report  the same as a person reads it
exploration        pictures and a page of photos before training

A module imports only modules that stand before it; the scripts import modules; nothing imports
a script.
"""

import os
import tempfile

# A backend that ~/.keras/keras.json or the environment names for other projects would not do.
os.environ["KERAS_BACKEND"] = "tensorflow"


def _import_tensorflow_quietly() -> None:
    """Import TensorFlow without its lines about CPU instructions and absent GPUs.

    They are written before its own log level is in force, and straight to the file behind
    `sys.stderr`, so only another file in that place keeps them off the terminal. They would
    bury the one line that tells a user what is wrong. Set TF_CPP_MIN_LOG_LEVEL=0 to see them.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        except BaseException:
            log.seek(0)
            os.write(terminal, log.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


if os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "0":
    _import_tensorflow_quietly()
