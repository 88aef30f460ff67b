"""Where the model sees the unseen photos: its features of them, in two dimensions, for the page.

The features are what the last layer decides from, so photos that lie close together look alike to
the model. One that lies among those of another class is a mistake, a wrong label, or a hard photo.
"""

import numpy as np
from PIL import Image
from scipy.spatial import KDTree

from vision101.evaluation.evaluate import Evaluation
from vision101.pages import embed_picture, link_to
from vision101.runs import Run

PHOTO_LIMIT = 400  # the thumbnails of so many take half a megabyte
PHONE_LIMIT = 150  # a phone has no room for more
LEAST_PHOTOS = 3  # fewer have no shape in two dimensions

THUMBNAIL_SIZE = 80  # pixels per side
THUMBNAILS_IN_ROW = 20

WIDTH, HEIGHT, MARGIN = 720, 420, 14  # of the plot, in units of its SVG

# Marks are as large as their shapes where they are few, and else together as large as this share
# of the plot: more would leave no room to see which lie close together.
LARGEST_DISTANCE = 13  # between two marks that touch, in those units
COVERED = 0.15
ROUNDS = 300  # of moving marks apart; most are apart after a tenth of them

# Classes are told apart by shape and colour: any two of the first 49 differ in one of them, and the
# first seven in both. The shapes are SVG paths around 0; the colours are those of Okabe & Ito that
# stand out from white and from black.
SHAPES = (
    "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0z",  # a circle
    "M0,-6.5L6,4.5H-6z",  # a triangle
    "M-4.6,-4.6H4.6V4.6H-4.6z",  # a square
    "M-2,-6H2V-2H6V2H2V6H-2V2H-6V-2H-2z",  # a plus
    "M0,-6.5L5,0L0,6.5L-5,0z",  # a diamond
    "M0,6.5L6,-4.5H-6z",  # a triangle that points down
    "M-5.5,-5.5H5.5L0,0L5.5,5.5H-5.5L0,0z",  # an hourglass
)
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c8c8c")


def describe_embeddings(run: Run, evaluation: Evaluation, images: np.ndarray) -> dict | None:
    """Return what templates/embeddings.html shows of the unseen photos; None where they are too
    few. Of more than PHOTO_LIMIT, some are drawn at random, the same for all runs on one split.
    Mistakes come last, so that they lie above the others, the most confident one on top.

    Args:
        run: A started run.
        evaluation: What `evaluate_model` returned.
        images: The unseen photos as the model gets them, uint8 (photos, height, width, 3), RGB.
    """
    if len(images) < LEAST_PHOTOS:
        return None
    count, generator = min(PHOTO_LIMIT, len(images)), np.random.default_rng(0)
    chosen = generator.choice(len(images), count, replace=False)
    places, share = project_features(evaluation.features["unseen"][chosen])
    distance = min(LARGEST_DISTANCE, np.sqrt(COVERED * WIDTH * HEIGHT / count))
    places = move_apart(places, distance)
    names, probabilities = evaluation.class_names, evaluation.probabilities["unseen"]
    labels, predicted = evaluation.labels["unseen"].argmax(axis=1), probabilities.argmax(axis=1)
    points = []
    for number, (position, (x, y)) in enumerate(zip(chosen, places, strict=True)):
        path = run.split["unseen"][position].path
        label, prediction = names[labels[position]], names[predicted[position]]
        wrong = label != prediction
        confidence = float(probabilities[position].max())
        told = f"predicted as {prediction}" if wrong else "right"
        points.append(
            _mark(labels[position])
            | {"x": f"{x:.1f}", "y": f"{y:.1f}", "wrong": wrong * confidence}
            | {"left": THUMBNAIL_SIZE * (number % THUMBNAILS_IN_ROW)}
            | {"top": THUMBNAIL_SIZE * (number // THUMBNAILS_IN_ROW)}
            | {
                "text": f"{label} ({told}, {100 * confidence:.0f} %)",
                "file": run.source.place(path),
            }
            | {"link": link_to(path, run.folder)}
        )
    points.sort(key=lambda point: point["wrong"])
    return {
        "points": points,
        "spare": max(0, count - PHONE_LIMIT),
        "scale": distance / LARGEST_DISTANCE,
        "classes": [_mark(label) | {"name": name} for label, name in enumerate(names)],
        "thumbnails": embed_picture(_tile_thumbnails(images[chosen])),
        "share": share,
        "of": len(images),
        "size": (WIDTH, HEIGHT),
        "thumbnail_size": THUMBNAIL_SIZE,
    }


def _mark(label: int) -> dict[str, str]:
    colour = (label + label // len(SHAPES)) % len(COLOURS)
    return {"shape": SHAPES[label % len(SHAPES)], "colour": COLOURS[colour]}


def project_features(features: np.ndarray) -> tuple[np.ndarray, float]:
    """Project features, float (photos, channels), onto the two directions in which they differ most
    (principal component analysis), and these onto the plot.

    Returns:
        Places in units of the plot, float (photos, 2), and the share of the variance that they
        show, 0-1.
    """
    # A second to load, which training need not wait for.
    from sklearn.decomposition import PCA

    analysis = PCA(2, svd_solver="full")
    with np.errstate(invalid="ignore"):  # where all features are the same
        places = analysis.fit_transform(np.nan_to_num(features.astype(float)))
    # An outlier, drawn at the edge, must not push all others into a corner.
    low, high = np.quantile(places, (0.02, 0.98), axis=0)
    room = np.array([WIDTH, HEIGHT]) - 2 * MARGIN
    places = MARGIN + room * ((places - low) / np.maximum(high - low, 1e-9)).clip(0, 1)
    return places, float(np.nan_to_num(analysis.explained_variance_ratio_).sum())


def move_apart(places: np.ndarray, distance: float) -> np.ndarray:
    """Move places of the plot, float (photos, 2), as little as it takes for no two of them to be
    closer together than `distance`, give or take a twentieth. They stay on the plot.
    """
    low, high = MARGIN, np.array([WIDTH, HEIGHT]) - MARGIN
    generator = np.random.default_rng(0)
    for _ in range(ROUNDS):
        pairs = KDTree(places).query_pairs(0.95 * distance, output_type="ndarray")
        if not len(pairs):
            break
        apart = places[pairs[:, 0]] - places[pairs[:, 1]]
        apart += generator.normal(0, 0.01, apart.shape)  # from the same place, anywhere
        length = np.hypot(*apart.T)[:, None]
        push = apart * (distance / length - 1) / 2
        step = np.zeros_like(places)
        np.add.at(step, pairs[:, 0], push)
        np.add.at(step, pairs[:, 1], -push)
        places = (places + step.clip(-distance, distance)).clip(low, high)
    return places


def _tile_thumbnails(images: np.ndarray) -> np.ndarray:
    """Return one picture of all thumbnails, in rows, which takes half of what single ones would."""
    rows = -(-len(images) // THUMBNAILS_IN_ROW)
    tiles = Image.new("RGB", (THUMBNAIL_SIZE * THUMBNAILS_IN_ROW, THUMBNAIL_SIZE * rows), "white")
    for number, image in enumerate(images):
        row, column = divmod(number, THUMBNAILS_IN_ROW)
        thumbnail = Image.fromarray(image).resize((THUMBNAIL_SIZE, THUMBNAIL_SIZE))
        tiles.paste(thumbnail, (THUMBNAIL_SIZE * column, THUMBNAIL_SIZE * row))
    return np.asarray(tiles)
