"""An interrupted run goes on with its own flags, and its own split."""

import argparse

from vision101.errors import UserError, shown_path
from vision101.runs import CHECKPOINTS, PAGE_NAME, read_config

# Flags that say where a run lies, rather than what it does.
OF_THE_FOLDER = ("name", "output_dir", "resume")

# Flags that decided the split, which is read from `split.csv` instead.
OF_THE_SPLIT = ("add", "exclude")


def resume_arguments(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace, kind: str
) -> argparse.Namespace:
    """Return the flags of the run that `--resume` names, in place of the script's.

    Args:
        parser: The script's parser.
        arguments: What it returned.
        kind: `cnn` or `transfer`.

    Raises:
        UserError: It is no run of this script, it is finished, or a flag contradicts it.
    """
    folder = arguments.resume
    config = read_config(folder)
    flag = f"--resume {shown_path(folder)}"
    if config["kind"] != kind:
        other = {"cnn": "train_cnn.py", "transfer": "train_transfer.py"}[config["kind"]]
        raise UserError(f"{flag}: a run of {other}; resume it with that script")
    if (folder / PAGE_NAME).exists() and not any(folder.glob(CHECKPOINTS)):
        raise UserError(f"{flag}: finished; there is nothing left to do")
    # Flags that were given are those that a parser does not leave as they are.
    unset = object()
    blank = argparse.Namespace(**dict.fromkeys(vars(arguments), unset))
    for name, value in vars(parser.parse_args(namespace=blank)).items():
        if value is not unset and name not in OF_THE_FOLDER and str(value) != str(config.get(name)):
            raise UserError(
                f"{flag}: the run has --{name.replace('_', '-')} {config.get(name)}, which cannot "
                f"become {value}; leave it out, or start another run"
            )
    told = {name: config[name] for name in vars(arguments) if name in config}
    settled = vars(arguments) | told | {"data": config["photos"], "output_dir": folder.parent}
    return argparse.Namespace(**settled | dict.fromkeys(OF_THE_SPLIT) | {"resume": folder})
