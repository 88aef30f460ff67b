"""An interrupted run goes on with its own flags, and its own split."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vision101.errors import UserError, shown_path
from vision101.finished_runs import CONFIG, check_fields, read_json, refuse_damage
from vision101.runs import CHECKPOINTS, CONFIG_NAME, PAGE_NAME

# Flags that say where a run lies, rather than what it does.
OF_THE_FOLDER = ("name", "output_dir", "resume")

# Flags that decided the split, which is read from `split.csv` instead.
OF_THE_SPLIT = ("add", "exclude")


class InterruptedRun(NamedTuple):
    """What the attributes of a `Run` were, by its newest checkpoint."""

    folder: Path
    config: dict
    history: dict
    seconds: dict


def resume_arguments(parser: ArgumentParser, arguments: Namespace, kind: str) -> Namespace:
    """Return the flags of the run that `--resume` names, in place of those that the script's parser
    returned; `resume` is an `InterruptedRun`. Raises UserError where it is no run of this script,
    is finished or damaged, or a flag contradicts it.
    """
    folder = arguments.resume
    flag = f"--resume {shown_path(folder)}"
    path = folder / CONFIG_NAME
    if not path.exists():
        raise UserError(f"{flag}: not the folder of a run")
    config = read_json(path)
    check_fields(path, config, CONFIG)
    if config["kind"] != kind:
        other = {"cnn": "train_cnn.py", "transfer": "train_transfer.py"}[config["kind"]]
        raise UserError(f"{flag}: a run of {other}; resume it with that script")
    if (folder / PAGE_NAME).exists() and not any(folder.glob(CHECKPOINTS)):
        raise UserError(f"{flag}: finished; there is nothing left to do")
    # Flags that were given are those that a parser does not leave as they are.
    unset = object()
    blank = Namespace(**dict.fromkeys(vars(arguments), unset))
    for name, value in vars(parser.parse_args(namespace=blank)).items():
        if value is not unset and name not in OF_THE_FOLDER and str(value) != str(config.get(name)):
            raise UserError(
                f"{flag}: the run has --{name.replace('_', '-')} {config.get(name)}, which cannot "
                f"become {value}; leave it out, or start another run"
            )
    progress = {"history": {}, "seconds": {}}
    for path in folder.glob(CHECKPOINTS):
        with refuse_damage(path), np.load(path, allow_pickle=False) as saved:
            one = json.loads(str(saved["progress"]))
            progress = max(progress, one, key=lambda each: len(each["history"].get("loss", ())))
    told = {name: config[name] for name in vars(arguments) if name in config}
    settled = vars(arguments) | told | {"data": config["photos"], "output_dir": folder.parent}
    settled |= dict.fromkeys(OF_THE_SPLIT)
    return Namespace(**settled | {"resume": InterruptedRun(folder, config, **progress)})
