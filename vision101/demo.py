"""The page of demo.py: a person drops photos on it, and a trained run says what they show.

Photos come as the bodies of requests, which Flask keeps in memory, and go as soon as they are
answered. No name of a file comes along, and nothing is written.
"""

import functools
import io
import json
import secrets
import threading

import flask
import numpy as np
from werkzeug.exceptions import (
    Forbidden,
    HTTPException,
    InternalServerError,
    RequestEntityTooLarge,
    UnprocessableEntity,
)

from vision101.errors import UserError, shown_path
from vision101.formats import as_json
from vision101.pages import TEMPLATES_FOLDER, encode_photo
from vision101.photos.reading import UnreadablePhotoError, read_pixels
from vision101.prediction import Classifier, load_classifier, predict_photo

TOP = 5  # classes to show
SHOWN_CLASSES = 20  # of those that the model knows
UPLOAD_MEGABYTES = 64  # three times the largest photos of today's cameras

# What a browser may do for the page: run its own script, show what it holds, and ask this server.
# So it loads nothing from elsewhere and sends nothing elsewhere, whatever a photo or name holds.
POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def build_app(classifier: Classifier) -> flask.Flask:
    """Return the page, as a WSGI application for a server on this machine.

    Photos are posted to `/predict` and `/explain`. The response is an object like those of
    `predict.py --json` with a `picture` for an `img` element: the photo as the model gets it, or
    where it looked. Where that fails, the status says so, and `problem` is a sentence.
    """
    app = flask.Flask(__name__, static_folder=None, template_folder=TEMPLATES_FOLDER)
    app.config["MAX_CONTENT_LENGTH"] = UPLOAD_MEGABYTES * 10**6
    # Any page in the browser may send requests here. If its own name led to 127.0.0.1 ("DNS
    # rebinding"), it could even read the response; but its requests tell that name.
    app.config["TRUSTED_HOSTS"] = ["127.0.0.1", "localhost"]
    # LiteRT runs a network in one thread at a time, and large photos need their memory.
    lock = threading.Lock()

    @functools.cache
    def load_keras_classifier() -> Classifier:  # takes seconds
        return load_classifier(classifier.run.folder, with_keras=True)

    @app.before_request
    def refuse_other_pages() -> None:
        if flask.request.headers.get("Origin") not in (None, flask.request.host_url.rstrip("/")):
            raise Forbidden("only the page of demo.py itself may ask")

    @app.after_request
    def add_headers(response: flask.Response) -> flask.Response:
        policy = POLICY.format(nonce=flask.g.get("nonce", ""))
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        return response

    @app.get("/")
    def show_page() -> bytes:
        flask.g.nonce = secrets.token_urlsafe()
        page = flask.render_template(
            "demo.html",
            nonce=flask.g.nonce,
            run=classifier.run,
            folder=shown_path(classifier.run.folder),
            class_names=classifier.class_names[:SHOWN_CLASSES],
            more_classes=max(0, len(classifier.class_names) - SHOWN_CLASSES),
            megabytes=UPLOAD_MEGABYTES,
        )
        return page.encode(errors="replace")  # names may hold bytes that are not text

    @app.post("/predict")
    def predict() -> dict:
        content = flask.request.get_data()
        with lock:
            return _predict(classifier, content)

    @app.post("/explain")
    def explain() -> dict:
        content = flask.request.get_data()
        with lock:
            return _predict(load_keras_classifier(), content, where_it_looked=True)

    @app.errorhandler(UnreadablePhotoError)
    @app.errorhandler(UserError)
    def tell_problem(error: Exception) -> tuple[dict, int]:
        return {"problem": str(error)}, UnprocessableEntity.code

    @app.errorhandler(HTTPException)
    def tell_refusal(error: HTTPException) -> tuple[dict, int]:
        problems = {
            RequestEntityTooLarge.code: f"larger than {UPLOAD_MEGABYTES} MB; reduce it",
            InternalServerError.code: "a bug in demo.py; the terminal shows where",
        }
        return {"problem": problems.get(error.code, error.description)}, error.code

    return app


def _predict(classifier: Classifier, content: bytes, where_it_looked: bool = False) -> dict:
    """Return what `build_app` says of the bytes of a photo."""
    white = classifier.run.config.get("white") or 0
    pixels = read_pixels(io.BytesIO(content), classifier.image_size, white)
    prediction = predict_photo(classifier, "", pixels)
    told = json.loads(as_json(prediction, TOP, classifier.run.config["painted"]))
    if where_it_looked:
        # Needs Keras and Matplotlib, which a machine that only predicts may lack.
        from vision101.evaluation.grad_cam import compute_grad_cam, overlay_heatmap

        positions = np.array([classifier.class_names.index(told["class"])])
        heatmap = compute_grad_cam(classifier.model, pixels[np.newaxis], positions)[0]
        pixels = overlay_heatmap(pixels, heatmap)
    return {**told, "picture": encode_photo(pixels)}
