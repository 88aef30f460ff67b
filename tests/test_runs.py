"""Run folders that are damaged, foreign or made to do harm: refused in one line, or they work."""

import io
import json
import random
import shutil
import zipfile

import h5py
import keras
import numpy as np
import pytest

from vision101.comparison.reading import load_runs
from vision101.errors import UserError
from vision101.finished_runs import find_run_on_split, read_run
from vision101.photos.index import Photo
from vision101.prediction import load_classifier, predict_photo
from vision101.training.backbones import build_backbone
from vision101.training.saved_models import DESCRIPTION_BYTES

DEEP = "[" * 1_000_000 + "]" * 1_000_000

# Instead of what a field holds, as JSON.
VALUES = (
    *("null", "true", "0", "-1", "1.5", "1e9", "1e999", "NaN", '"text"', '""', "[]", "{}"),
    *("[1, 2]", '["a", "a"]', '"\\ud800"', "9" * 400, '{"a": [null]}', DEEP),
)


@pytest.fixture
def run_folder(finished_run, tmp_path):
    """Return a copy of the finished run that a test may damage."""
    ignored = shutil.ignore_patterns("plots", "report.html")
    return shutil.copytree(finished_run[0], tmp_path / "run", ignore=ignored)


def list_fields(content: dict, *above: str) -> list[tuple[str, ...]]:
    fields = []
    for name, value in content.items():
        fields.append((*above, name))
        if isinstance(value, dict):
            fields += list_fields(value, *fields[-1])
    return fields


def change(path, field: tuple[str, ...], text: str) -> None:
    """Put another JSON text where a field of a JSON file is."""
    content = json.loads(path.read_text())
    *above, name = field
    inside = content
    for key in above:
        inside = inside[key]
    inside[name] = "the new value"
    path.write_text(json.dumps(content).replace('"the new value"', text))


def forget_checksum(run_folder) -> None:
    """Make it a run of an earlier version, whose model is loaded as it is."""
    change(run_folder / "results.json", ("model_sha256",), "null")


@pytest.mark.parametrize(
    ("file", "field", "value"),
    [
        *(("config", "image_size", value) for value in ("0", "1.5", "1000000000", '"text"')),
        *(("config", "class_names", value) for value in ("[1, 2]", '["a", "a"]', "[]", "null")),
        *(
            ("config", field, "null")
            for field in ("kind", "photos", "painted", "split_hash", "seed")
        ),
        ("config", "format", "99"),
        *(("results", "confidence.threshold", value) for value in ("NaN", "null", "0", "1.1")),
        *(("results", "unseen.accuracy", value) for value in ("NaN", "2", "null")),
        ("results", "unseen.accuracy", "0.0001"),  # and so outside its interval
        ("results", "parameters", "true"),
        ("results", "title", "{}"),
    ],
)
def test_a_field_that_cannot_be_is_named(run_folder, file, field, value):
    change(run_folder / f"{file}.json", (*field.split("."),), value)
    for read in (read_run, load_classifier, lambda folder: load_runs([folder], folder)):
        with pytest.raises(UserError) as caught:
            read(run_folder)
        line = str(caught.value)
        assert f"{file}.json: cannot be read ({field} is" in line
        assert "\n" not in line
        assert len(line) < 400


@pytest.mark.parametrize("text", ["", "[]", "null", DEEP, '{"kind": ', "\xff"])
@pytest.mark.parametrize("file", ["config.json", "results.json"])
def test_files_that_are_no_json_are_named(run_folder, file, text):
    (run_folder / file).write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=f"{file}: cannot be read"):
        read_run(run_folder)


def test_a_changed_model_is_refused_unless_the_run_knows_no_checksum(run_folder):
    path = run_folder / "best.keras"
    model = keras.saving.load_model(path)
    layer = model.get_layer("probabilities")
    layer.set_weights([weights * 2 for weights in layer.get_weights()])
    model.save(path)
    with pytest.raises(UserError, match=r"best\.keras: cannot be loaded \(changed or damaged"):
        load_classifier(run_folder, with_keras=True)
    forget_checksum(run_folder)
    assert load_classifier(run_folder, with_keras=True).model.count_params() == model.count_params()


def test_models_that_do_not_fit_are_refused_and_their_versions_told(run_folder):
    forget_checksum(run_folder)
    path = run_folder / "best.keras"
    model = keras.saving.load_model(path)
    weights = model.get_weights()
    model.set_weights([weights[0] * np.nan, *weights[1:]])
    model.save(path)
    with pytest.raises(UserError, match=rf"keras {keras.__version__}.* \(weights are NaN"):
        load_classifier(run_folder, with_keras=True)
    model.set_weights(weights)
    model.save(path)
    for field, value, complaint in (
        ("image_size", "48", "not photos of 48 pixels"),
        ("class_names", '["one", "two"]', "does not tell 2 classes apart"),
    ):
        before = (run_folder / "config.json").read_text()
        change(run_folder / "config.json", (field,), value)
        with pytest.raises(UserError, match=complaint):
            load_classifier(run_folder, with_keras=True)
        (run_folder / "config.json").write_text(before)
    change(run_folder / "results.json", ("parameters",), str(model.count_params() + 1))
    with pytest.raises(UserError, match=r"weights, not [0-9,]+"):
        load_classifier(run_folder, with_keras=True)


class Harm:
    """What would write a file if it were unpickled."""

    def __reduce__(self):
        return eval, ("open('harm', 'w')",)


@pytest.mark.parametrize(
    "damage", ["channels", "classes", "nan", "infinite threshold", "400 GB", "pickle"]
)
def test_detectors_that_do_not_fit_are_refused(run_folder, damage, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    path = run_folder / "out_of_distribution.npz"
    with np.load(path) as saved:
        arrays = dict(saved)
    if damage == "channels":
        arrays["examples"] = arrays["examples"][:, :-1]
    elif damage == "classes":
        arrays["weights"] = arrays["weights"][..., :-1]
    elif damage == "nan":
        arrays["weights"][0, 3, 1] = np.nan
    elif damage == "infinite threshold":
        arrays["threshold"] = np.inf
    np.savez(path, **arrays)
    if damage in ("400 GB", "pickle"):
        content = io.BytesIO()
        if damage == "pickle":
            np.save(content, np.array([Harm()]), allow_pickle=True)
        else:
            header = {"descr": "<f4", "fortran_order": False, "shape": (10**5, 10**6)}
            np.lib.format.write_array_header_1_0(content, header)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("examples.npy", content.getvalue())
    with pytest.raises(UserError, match=r"out_of_distribution\.npz: cannot be"):
        load_classifier(run_folder, with_keras=True)
    assert not (tmp_path / "harm").exists()


def pack_bomb(path, member: str) -> None:
    """Make a .keras file of one large part, and another one."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        shape = (10**11,) if member == "arrays" else (1000,)
        file.create_dataset("0", shape, "f4", chunks=(1000,), compression="gzip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("config.json", "w", force_zip64=True) as file:
            if member == "config":
                for _ in range(DESCRIPTION_BYTES // 10**6 + 1):
                    file.write(b" " * 10**6)
            elif member == "layers":
                layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(4321, 3)]
                model = keras.Sequential([*layers, keras.layers.Conv2D(4321, 3)])
                config = json.dumps(keras.saving.serialize_keras_object(model))
                file.write(config.replace("4321", "43210").encode())
        content = weights.getvalue()
        archive.writestr("model.weights.h5", content + b"\0" * 10**8 * (member == "weights"))


@pytest.mark.parametrize("member", ["config", "weights", "arrays", "layers"])
def test_what_unpacks_to_gigabytes_is_not_unpacked(run_folder, member, monkeypatch):
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("was loaded"))
    forget_checksum(run_folder)
    pack_bomb(run_folder / "best.keras", member)
    with pytest.raises(UserError, match=r"best\.keras: .*unpacks to [\d,]+ bytes; at most"):
        load_classifier(run_folder, with_keras=True)
    if member != "weights":  # 100 MB are more than this run needs, and not too much for a backbone
        with pytest.raises(UserError, match="--backbone .*at most .* see [A-Z]+_BYTES"):
            build_backbone(str(run_folder / "best.keras"), "none", 32)


def test_runs_without_their_own_code_or_checksum_load(run_folder):
    """As those of earlier versions are."""
    for file, field in (("config", "format"), ("config", "versions"), ("results", "model_sha256")):
        content = json.loads((run_folder / f"{file}.json").read_text())
        del content[field]
        (run_folder / f"{file}.json").write_text(json.dumps(content))
    assert load_classifier(run_folder).image_size == 32


@pytest.mark.parametrize(
    "log", ["", "accuracy\n", "accuracy,loss,val_accuracy,val_loss\n1,2,x,4\n"]
)
def test_a_training_shows_no_damaged_run_beside_its_own(run_folder, monkeypatch, log):
    wanted = json.loads((run_folder / "config.json").read_text())["split_hash"]
    monkeypatch.setattr("vision101.finished_runs.hash_split", lambda split: wanted)
    split = {"unseen": list[Photo]()}
    assert find_run_on_split(run_folder.parent, "cnn", split).folder == run_folder
    (run_folder / "log.csv").write_text(log)
    assert find_run_on_split(run_folder.parent, "cnn", split) is None


def damage_file(path, generator: random.Random) -> None:
    content = path.read_bytes()
    kinds = ["cut", "flip", "empty", "insert", "remove"]
    kind = generator.choice(kinds + 5 * ["field"] * (path.suffix == ".json"))
    place = generator.randrange(len(content))
    if kind == "field":
        field = generator.choice(list_fields(json.loads(content)))
        change(path, field, generator.choice(VALUES))
    elif kind == "remove":
        path.unlink()
    else:
        one = bytes([content[place] ^ 1 << generator.randrange(8)])
        middle = {"cut": b"", "flip": one + content[place + 1 :], "empty": b""}
        middle["insert"] = generator.randbytes(9) + content[place:]
        path.write_bytes(content[: 0 if kind == "empty" else place] + middle[kind])


def test_damaged_runs_work_or_are_refused(finished_run, run_folder, request):
    """A run is damaged at random, and read by all that reads runs: only a UserError may end it."""
    names = sorted(path.name for path in run_folder.iterdir() if path.is_file())
    images = np.full((32, 32, 3), 128, np.uint8)
    refused = 0
    # A run takes as long as fifteen small files: some of them load a model.
    for seed in range(request.config.getoption("--fuzz") // 15):
        generator = random.Random(seed)
        for name in names:
            shutil.copy(finished_run[0] / name, run_folder / name)
        if generator.random() < 0.5:
            forget_checksum(run_folder)
        name = generator.choice(names)
        damage_file(run_folder / name, generator)
        try:
            for read in (
                lambda: load_runs([run_folder], run_folder),
                lambda: read_run(run_folder).read_history(),
                lambda: predict_photo(load_classifier(run_folder), "photo", images),
            ):
                try:
                    read()
                except UserError as error:
                    refused += 1
                    assert "\n" not in str(error)
        except Exception as error:
            raise AssertionError(f"seed {seed}, {name}: {error!r}") from error
    assert refused
