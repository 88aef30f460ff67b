"""The notebook: it runs to its end, shows pictures, and does what the scripts do."""

import json
import re
import shutil

import nbformat
import pytest
from conftest import PROJECT
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

PATH = PROJECT / "notebooks" / "flowers.ipynb"


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(PATH, as_version=4)


def test_outputs_are_not_kept(notebook):
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)


def test_it_imports_what_the_scripts_import(notebook):
    scripts = "".join(path.read_text(encoding="utf-8") for path in PROJECT.glob("*.py"))
    for module in ("cli", "incoming"):  # of which each script is made
        scripts += (PROJECT / "vision101" / f"{module}.py").read_text(encoding="utf-8")
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    modules = set(re.findall(r"^from (vision101\S*) import", code, re.M))
    assert len(modules) > 10
    for module in modules:
        assert module in scripts, module


def test_it_runs_to_its_end_and_shows_pictures(notebook, project, painted_folder, monkeypatch):
    folder = project / "notebooks"
    folder.mkdir()
    shutil.copytree(painted_folder, project / "data" / "sample")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = re.sub(r"^EPOCHS = \d+.*", "EPOCHS = 2", cell.source, flags=re.M)
    # As in a browser; nothing of it may stop the training.
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    client = NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(folder)}}, kernel_name="python3"
    )
    try:
        client.execute()
    except CellExecutionError as error:
        pytest.fail(str(error))
    finally:
        shutil.rmtree(project / "data" / "sample")
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 5
    assert "\r" not in json.dumps([output.get("text", "") for output in outputs])
    *_, last = notebook.cells
    assert re.search(r"(daisy|dandelion|roses) +\d", last.outputs[0].text)
