"""The log of a training: every epoch, the weights of the best one, and what it takes to go on."""

import json
import signal

import keras
import numpy as np

from vision101 import processes
from vision101.errors import UserError, shown_path
from vision101.files import write_atomically, write_table
from vision101.runs import LOG_NAME, Run
from vision101.terminal import EpochBar, say
from vision101.training.folds import HeldOut


class TrainingLog(keras.callbacks.Callback):
    """Shows and logs every epoch, and keeps the weights of the one with the best validation
    accuracy, the first of several.

    After every epoch, `log.csv` and a checkpoint are written atomically; an interrupted run goes on
    from there. (Keras's BackupAndRestore forgets the best score: a worse epoch could replace a
    better one.) Ctrl-C, or SIGTERM, ends the training after the step, and the run is completed with
    the best epoch so far; a second one interrupts as it does elsewhere.

    The run's `history` is filled, and `stopped` where it was. The phase is the name of this `fit`
    among those of the run, and the epochs are those of the whole training. A `UserError` ends `fit`
    after an epoch in which the loss became infinite or NaN.

    After cross-validation, `held_out` has the `val_accuracy` and `val_loss` of every epoch, and the
    last one is kept. That takes seconds: where it is interrupted, it is not completed, and begins
    again when it is resumed.
    """

    def __init__(
        self, run: Run, epochs: int, phase: str = "training", held_out: HeldOut | None = None
    ):
        super().__init__()
        self.run, self.epochs, self.phase = run, epochs, phase
        self.curves = held_out.curves if held_out else {}
        self.path = run.folder / f"checkpoint-{phase}.npz"
        self.best_accuracy = max(run.history.get("val_accuracy", [-1.0]))

    def on_train_begin(self, logs=None):
        self.best_weights = self.model.get_weights()
        if self.path.exists():
            goes_on = self.run.epochs < self.epochs
            if goes_on:  # else, nobody needs the optimizer, which may be another one by now
                self.model.optimizer.build(self.model.trainable_variables)
            with np.load(self.path) as saved:
                for variable, name in _name_variables(self.model, goes_on):
                    variable.assign(saved[name])
                self.best_weights = [saved[f"best/{n}"] for n in range(len(self.best_weights))]
        self.handlers = {n: signal.signal(n, self.stop) for n in (signal.SIGINT, signal.SIGTERM)}

    def stop(self, number, frame):
        """Handle a signal: the first one stops after this step."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        # Nothing to complete a run from; or TensorFlow completes those of JAX, trained to the end.
        if not self.run.history or self.curves or keras.config.backend() == "jax":
            signal.raise_signal(number)
        self.run.stopped = f"stopped in epoch {self.run.epochs + 1} of {self.epochs}"
        say(
            "\nStopping after this step; the run is completed with the best epoch so far. Ctrl-C "
            f"again stops at once, and leaves {shown_path(self.run.folder)} to resume."
        )

    def on_epoch_begin(self, epoch, logs=None):
        self.bar = EpochBar(epoch + 1, self.epochs, self.params["steps"])

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()
        if self.run.stopped:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        if self.run.stopped:
            return  # the epoch is not whole
        logs = logs | {name: values[epoch] for name, values in self.curves.items()}
        best = not self.curves and logs["val_accuracy"] > self.best_accuracy
        self.bar.finish(logs, best)
        history = self.run.history
        for name, value in logs.items():
            history.setdefault(name, []).append(float(value))
        rows = zip(range(epoch + 1), *(history[name] for name in sorted(history)), strict=True)
        if processes.rank == 0:
            write_table(self.run.folder / LOG_NAME, ("epoch", *sorted(history)), rows)
        if not np.isfinite([logs["loss"], logs["val_loss"]]).all():
            Run.unfinished = None  # to go on would not help
            raise UserError(
                f"training diverged in epoch {epoch + 1}, where the loss became infinite or NaN; "
                "try --precision float32, or a smaller learning rate, at the top of the script"
            )
        if best:
            self.best_accuracy = float(logs["val_accuracy"])
            self.best_weights = self.model.get_weights()
        if self.curves or processes.rank:
            return
        arrays = {name: variable.numpy() for variable, name in _name_variables(self.model, True)}
        arrays |= {f"best/{n}": weights for n, weights in enumerate(self.best_weights)}
        progress = json.dumps({"history": history, "seconds": self.run.seconds_so_far(self.phase)})
        with write_atomically(self.path) as temporary:
            np.savez(temporary, progress=progress, **arrays)

    def on_train_end(self, logs=None):
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        if not self.curves:
            self.model.set_weights(self.best_weights)


def _name_variables(model: keras.Model, optimizer: bool) -> list[tuple[keras.Variable, str]]:
    """Return what training changes, with names: weights, statistics, seeds, the optimizer's."""
    variables = {"model": model.variables}
    if optimizer:
        variables["optimizer"] = model.optimizer.variables
    return [(each, f"{of}/{n}") for of in variables for n, each in enumerate(variables[of])]
