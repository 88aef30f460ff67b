"""The page of demo.py: what it says of photos, by mouse and keyboard, and whom it refuses."""

import io
import ipaddress
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import BROWSERS, PROJECT, WINDOW_SIZES
from PIL import Image
from werkzeug.serving import make_server

import demo
from vision101 import demo as demo_page
from vision101.errors import UserError
from vision101.evaluation.out_of_distribution import MahalanobisDetector
from vision101.finished_runs import FinishedRun
from vision101.prediction import Classifier
from vision101.training.models import build_base_cnn

SIZE = 32
NAMES = ["red", "<b>blue</b>"]

# Without a network: other machines are behind a proxy that is not there, and names lead nowhere.
OFFLINE = ("--proxy-server=127.0.0.1:9", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")

# How the browser's console tells of a file that is no picture.
REFUSED = "the server responded with a status of 422"


def call(batch: np.ndarray) -> list[np.ndarray]:
    """Tell red from blue. The greener a photo, the less it is like any that was trained on."""
    red, green, _ = batch.mean(axis=(1, 2)).T / 255
    return [np.stack([red, 1 - red], axis=1), green[:, np.newaxis]]


@pytest.fixture
def classifier(tmp_path):
    results = {"title": "tiny network", "unseen": {"balanced_accuracy": 0.876}}
    run = FinishedRun(tmp_path / "run", {"painted": False}, results)
    detector = MahalanobisDetector(np.zeros((2, 1)), np.eye(1), 0.25)
    return Classifier(run, None, call, NAMES, SIZE, 0.9, detector)


@pytest.fixture
def app(classifier, monkeypatch):
    """Return the application, in a process that cannot reach any other machine."""
    connect = socket.socket.connect

    def connect_here(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            assert ipaddress.ip_address(address[0]).is_loopback, address
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_here)

    def load_with_keras(folder: Path, with_keras: bool) -> Classifier:
        return classifier._replace(model=build_base_cnn(2, SIZE))

    monkeypatch.setattr(demo_page, "load_classifier", load_with_keras)
    return demo_page.build_app(classifier)


@pytest.fixture
def address(app):
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()


@pytest.fixture(scope="module")
def offline_browser(browser):
    program = next(filter(None, map(shutil.which, BROWSERS)))
    arguments = ["--no-sandbox", *OFFLINE, *CAMERA]
    yield (started := browser.browser_type.launch(executable_path=program, args=arguments))
    started.close()


@pytest.fixture(params=WINDOW_SIZES, ids=str)
def page(request, offline_browser, address):
    """Return the page in a browser. At the end, check what must hold whatever was shown."""
    width, height = request.param
    page = offline_browser.new_page(viewport={"width": width, "height": height})
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.on("filechooser", lambda chooser: None)  # else it may open before it is listened for
    page.set_default_timeout(10_000)
    page.goto(address)
    yield page
    unnamed = "[...document.images].filter(image => !image.alt.trim()).length"
    overflow = "document.documentElement.scrollWidth - window.innerWidth"
    assert page.evaluate(unnamed) == 0
    assert page.evaluate(overflow) <= 0
    page.close()
    assert all(REFUSED in complaint for complaint in complaints), complaints
    assert all(url.startswith((address, "data:")) for url in requests)


@pytest.fixture
def photos(tmp_path) -> list[Path]:
    """Return files: a photo that is red, one that is half blue, a green one, and a text."""
    paths = [tmp_path / name for name in ("a.jpg", "b.png", "<i>c.webp")]
    for path, colour in zip(paths, ("red", (128, 0, 127), "lime"), strict=True):
        Image.new("RGB", (60, 40), colour).save(path)
    (tmp_path / "notes.txt").write_text("hello")
    return [*paths, tmp_path / "notes.txt"]


def encode_photo(colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (60, 40), colour).save(buffer, "PNG")
    return buffer.getvalue()


def wait_for_predictions(page, count: int) -> list[str]:
    """Return the text of each card, from top to bottom, once all are done."""
    page.locator("#predictions .verdict, #predictions .problem").nth(count - 1).wait_for()
    return page.locator("#predictions li").all_inner_texts()


def test_photos_are_chosen_and_explained_by_keyboard(page, photos):
    press = page.keyboard.press
    press("Tab")
    with page.expect_file_chooser() as chooser:
        press("Enter")
    chooser.value.set_files(photos)
    sure, unsure, unlike, no_photo = wait_for_predictions(page, 4)
    assert re.search(r"a\.jpg\s+red\s+red\s+(99|100)\.\d\s%", sure)
    assert re.search(r"b\.png\s+Not sure\s+Not confident enough.*\s+red\s+50\.2", unsure)
    assert re.search(r"<i>c\.webp\s+Not sure\s+Unlike the training photos", unlike)
    assert "<b>blue</b>" in unlike  # as a text
    assert re.search(r"notes\.txt\s+a text file, not a JPEG", no_photo)
    assert page.locator("#status").inner_text().startswith("notes.txt: a text file")
    widths = [bar.bounding_box()["width"] for bar in page.locator(".bar span").all()[:2]]
    assert widths[0] > 50 > 5 > widths[1]

    press("Tab")  # to the camera
    press("Tab")
    press("Enter")
    page.locator("#predictions li").first.locator("img").nth(1).wait_for()
    assert "evidence for red" in page.locator("#predictions li").first.inner_text()
    press("Tab")  # goes on with the next photo
    assert page.evaluate("document.activeElement.closest('li').innerText").startswith("as the")
    assert "b.png" in page.evaluate("document.activeElement.closest('li').innerText")


def test_photos_are_dropped_and_pasted(page):
    give = """([kind, bytes]) => {
        const transfer = new DataTransfer();
        if (bytes) transfer.items.add(new File([Uint8Array.from(bytes)], kind + ".png"));
        const Kind = kind === "drop" ? DragEvent : ClipboardEvent;
        const name = kind === "drop" ? "dataTransfer" : "clipboardData";
        const event = new Kind(kind, { [name]: transfer, bubbles: true, cancelable: true });
        document.body.dispatchEvent(event);
    }"""
    for kind in ("drop", "paste"):
        page.evaluate(give, [kind, list(encode_photo())])
    pasted, dropped = wait_for_predictions(page, 2)  # the latest first
    assert "paste.png" in pasted
    assert "drop.png" in dropped
    page.evaluate(give, ["drop", None])
    assert "That is no file" in page.locator("#status").inner_text()


def test_photos_are_taken_with_the_camera_which_goes_off_again(page):
    page.get_by_role("button", name="Use the camera").press("Enter")
    page.locator("dialog[open]").wait_for()
    page.keyboard.press("Enter")
    (text,) = wait_for_predictions(page, 1)
    assert "camera," in text
    assert page.evaluate("document.getElementById('video').srcObject") is None


def test_a_page_whose_server_is_gone_says_so(offline_browser, address, photos):
    page = offline_browser.new_page()
    page.goto(address)
    page.context.set_offline(True)
    page.set_input_files("#files", photos[0])
    (text,) = wait_for_predictions(page, 1)
    assert "is it still running?" in text
    page.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "127.0.0.1:8101"}, 200),
        ({"Host": "localhost:8101", "Origin": "http://localhost:8101"}, 200),
        # A name of its own that leads here, a form on another page, one in a sandbox, another port.
        ({"Host": "photos.example:8101"}, 400),
        ({"Host": "photos.example:8101", "Origin": "http://photos.example:8101"}, 400),
        ({"Host": "127.0.0.1:8101", "Origin": "https://photos.example"}, 403),
        ({"Host": "127.0.0.1:8101", "Origin": "null"}, 403),
        ({"Host": "127.0.0.1:8101", "Origin": "http://127.0.0.1:9"}, 403),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/predict")])
def test_other_pages_are_refused(app, headers, status, method, path):
    response = app.test_client().open(path, method=method, headers=headers, data=encode_photo())
    assert response.status_code == status
    assert (b"red" in response.data) == (status == 200)
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert response.headers["Cache-Control"] == "no-store"


def test_a_photo_that_is_too_large_gets_a_sentence(app):
    app.config["MAX_CONTENT_LENGTH"] = 1000
    response = app.test_client().post("/predict", data=bytes(1001))
    assert response.status_code == 413
    assert response.json == {"problem": "larger than 64 MB; reduce it"}


def test_a_bug_and_a_missing_keras_get_a_sentence_and_no_traceback(app, monkeypatch):
    client = app.test_client()

    def fail(*arguments, **options):
        raise UserError("best.keras: needs Keras here")

    monkeypatch.setattr(demo_page, "load_classifier", fail)
    response = client.post("/explain", data=encode_photo())
    assert (response.status_code, response.json) == (
        422,
        {"problem": "best.keras: needs Keras here"},
    )
    monkeypatch.setattr(demo_page, "predict_photo", lambda *arguments: 1 / 0)
    response = client.post("/predict", data=encode_photo())
    assert response.status_code == 500
    assert response.json["problem"].startswith("a bug in demo.py")


def test_without_flask_a_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "flask", None)
    monkeypatch.delitem(sys.modules, "vision101.demo")
    monkeypatch.setattr(demo, "list_runs", lambda output_folder: [tmp_path])
    monkeypatch.setattr(sys, "argv", ["demo.py"])
    with pytest.raises(UserError, match="flask: pip install -r requirements-demo.txt"):
        demo.main()


def test_a_port_that_is_taken_is_named():
    with demo.listen(0) as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        with pytest.raises(UserError, match=f"--port {port}: Address already in use; name another"):
            demo.listen(port)


def test_it_starts_without_tensorflow_and_ends_with_one_line():
    program = (
        "import atexit, sys, demo\n"
        "from types import SimpleNamespace\n"
        "from vision101 import prediction\n"
        "prediction.load_classifier = lambda folder: SimpleNamespace()\n"
        "demo.list_runs = lambda output_folder: ['a run']\n"
        "sys.argv = ['demo.py', '--port', '0']\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'pandas', 'scipy', 'matplotlib'}\n"
        "atexit.register(lambda: print('loaded', heavy & set(sys.modules)))\n"
        "demo.run_script(demo.main)\n"
    )
    command = [sys.executable, "-c", program]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=PROJECT, **pipes) as process:
        assert process.stdout.readline().startswith("Model: ")
        assert re.match(r"Open http://127\.0\.0\.1:\d+ in a browser", process.stdout.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "demo.py: stopped\n")
    assert out == "loaded set()\n"
