"""The log of a training: every epoch in `log.csv`, and the weights of the best one."""

import keras
import numpy as np

from vision101.errors import UserError
from vision101.files import write_table
from vision101.runs import LOG_NAME, Run


class TrainingLog(keras.callbacks.Callback):
    """Logs every epoch, and leaves the model with the weights of the best one.

    That is the epoch with the best validation accuracy, the first of several. One log can serve
    several `fit`s in a row: the best epoch may then be one of an earlier one.

    Args:
        run: A started run. Its `history` is filled, and `log.csv` is written anew, after every
            epoch.

    Raises:
        UserError: In `fit`, after an epoch in which the loss became infinite or NaN.
    """

    def __init__(self, run: Run):
        super().__init__()
        self.run = run
        self.best_accuracy = -1.0

    def on_train_begin(self, logs=None):
        self.best_weights = self.model.get_weights()

    def on_epoch_end(self, epoch, logs=None):
        history = self.run.history
        for name, value in logs.items():
            history.setdefault(name, []).append(value)
        names = sorted(history)
        rows = zip(range(epoch + 1), *(history[name] for name in names), strict=True)
        write_table(self.run.folder / LOG_NAME, ("epoch", *names), rows)
        if not np.isfinite([logs["loss"], logs["val_loss"]]).all():
            raise UserError(
                f"training diverged in epoch {epoch + 1}, where the loss became infinite or NaN; "
                "give a smaller --learning-rate (or --fine-tune), or --precision float32"
            )
        if logs["val_accuracy"] > self.best_accuracy:
            self.best_accuracy = logs["val_accuracy"]
            self.best_weights = self.model.get_weights()

    def on_train_end(self, logs=None):
        self.model.set_weights(self.best_weights)
