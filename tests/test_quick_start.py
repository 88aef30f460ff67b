"""The README's first commands do what it says. A file of its own, since they take a minute."""

import re
from pathlib import Path

from test_readme import QUICK_START_PREDICTION, README, SETUP_COMMANDS, copy_project, run


def test_quick_start_ends_in_a_sure_and_right_prediction(tmp_path):
    project = copy_project(tmp_path / "project")
    train = SETUP_COMMANDS[0].split(" && ")[-1].removeprefix(".venv/bin/")
    run(project, train)
    shown = run(project, QUICK_START_PREDICTION, "--fail-if-unsure")
    photo, first, *others = shown.split("\n\n")[-1].splitlines()
    assert QUICK_START_PREDICTION.endswith(photo)
    class_name, percent = first.split()[:2]
    assert class_name == Path(photo).parent.name
    assert float(percent) > 95  # a wide margin, so that other machines are sure of it too
    assert "Not sure" not in shown
    # The README shows it, give or take the last digit.
    shown_in_readme = re.search(r"```text\n(.*?)```", README, re.DOTALL)[1].splitlines()
    assert shown_in_readme[0] == photo
    assert shown_in_readme[1].split()[0] == class_name
