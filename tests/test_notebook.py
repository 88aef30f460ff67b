"""The notebook: it runs to its end, shows pictures, and does what the scripts do."""

import ast
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


def list_imports(code: str) -> set[tuple[str, str]]:
    """Return what is imported from the package, as pairs of module and name."""
    return {
        (node.module, alias.name)
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.ImportFrom) and node.module.startswith("vision101")
        for alias in node.names
    }


def test_it_imports_what_the_scripts_import(notebook):
    # The two modules are what every script begins with, and what predict.py reads photos with.
    paths = (*PROJECT.glob("*.py"), *(PROJECT / "vision101" / f for f in ("cli.py", "incoming.py")))
    scripts = set().union(*(list_imports(path.read_text(encoding="utf-8")) for path in paths))
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert len(list_imports(code)) > 10
    assert list_imports(code) <= scripts


def test_it_runs_to_its_end_and_shows_pictures(notebook, painted_folder, tmp_path, monkeypatch):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    shutil.copytree(PROJECT / "vision101", tmp_path / "vision101")
    for script in PROJECT.glob("*.py"):
        shutil.copy(script, tmp_path)
    shutil.copytree(painted_folder, tmp_path / "data" / "sample")
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
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 5
    shown = "".join(output.get("text", "") for output in outputs)
    assert "\r" not in shown  # a bar that rewrites itself
    for table in ("subset +photos +accuracy", "run +unseen +validation"):
        assert re.search(table, shown)
    assert "\ue000" not in json.dumps(outputs, ensure_ascii=False)  # stands for a space
    *_, last = notebook.cells  # with Keras 3.11, a line before it says that Keras predicts
    (printed,) = [output.text for output in last.outputs if output.get("name") == "stdout"]
    assert re.search(r"(daisy|dandelion|roses) +\d", printed)
