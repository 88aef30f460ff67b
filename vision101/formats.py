"""What predictions look like: bars, lines and a summary on the terminal, JSON, a table."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from unicodedata import combining, east_asian_width

from vision101.files import write_table
from vision101.prediction import Prediction

TERMINAL_WIDTH = 80  # characters
BAR_WIDTH = 20  # characters, for a probability of 100 %

TABLE_COLUMNS = ("path", "class", "confidence", "sure", "out_of_distribution")
REVIEW_COLUMNS = ("path", "label", "sure", "predicted", "confidence", "out_of_distribution")

# What is counted beside classes, which may have any name.
UNSURE, UNREADABLE = 0, 1


def as_bars(prediction: Prediction, top: int) -> str:
    """Return several lines: the `top` most probable classes with bars, and any doubt in words."""
    classes = prediction.classes[:top]
    room = TERMINAL_WIDTH - len("    100.0 %  ") - BAR_WIDTH  # a longer name moves its own bar only
    width = min(room, max(_columns(class_name) for class_name, _ in classes))
    lines = ["", prediction.name]
    for class_name, probability in classes:
        bar = "█" * round(BAR_WIDTH * probability)
        lines.append(f"  {_fill(class_name, width)}  {100 * probability:5.1f} %  {bar}".rstrip())
    if prediction.out_of_distribution:
        lines.append("  Not sure: unlike the training photos; perhaps none of the classes.")
    elif not prediction.accepted:
        lines.append("  Not sure: not confident enough. Ask a person.")
    return "\n".join(lines)


def as_line(prediction: Prediction, name_width: int) -> str:
    """Return a line that is aligned with others, of 80 columns if the names leave room."""
    class_width = max(_columns(class_name) for class_name, _ in prediction.classes)
    class_name, confidence = prediction.classes[0]
    doubt = "" if prediction.accepted else "  not sure"
    if prediction.out_of_distribution:
        doubt = "  unlike the training photos"
    end = f"  {100 * confidence:5.1f} %{doubt}"
    room = TERMINAL_WIDTH - len(end) - len("  ")
    class_column = _fill(class_name, min(class_width, room - _columns(prediction.name)))
    name_column = _fill(prediction.name, min(name_width, room - _columns(class_column)))
    return f"{name_column}  {class_column}{end}"


def _columns(text: str) -> int:
    """Return how wide a terminal shows a text: East Asian characters take two columns."""
    return sum(1 + (east_asian_width(c) in "WF") - bool(combining(c)) for c in text)


def _fill(text: str, columns: int) -> str:
    return text + " " * (columns - _columns(text))


def summarize(counts: Counter, class_names: list[str]) -> str:
    """Return how many photos are of each class, how many not sure, and how many unreadable."""
    words = {name: name for name in class_names} | {UNSURE: "not sure", UNREADABLE: "unreadable"}
    return ", ".join(f"{counts[kind]:,} {word}" for kind, word in words.items() if counts[kind])


def as_json(prediction: Prediction, top: int, painted: bool) -> str:
    """Return an object in one line, in ASCII, which a terminal of any kind passes on unchanged."""
    classes = [
        {"class": class_name, "probability": round(probability, 6)}
        for class_name, probability in prediction.classes
    ]
    content = {
        "photo": prediction.name,
        **classes[0],
        "sure": prediction.accepted,
        "out_of_distribution": prediction.out_of_distribution,
        "top": classes[:top],
        "trained_on_painted_sample": painted,
    }
    return json.dumps(content)


def write_predictions(
    path: Path, class_names: list[str], predictions: Iterable[Prediction]
) -> None:
    """Write a table for a spreadsheet, with absolute paths and the probability of each class, row
    by row as the predictions come: memory does not grow with their number.
    """

    def format_row(prediction: Prediction) -> tuple[str, ...]:
        probabilities = {name: f"{number:.6f}" for name, number in prediction.classes}
        class_name, _ = prediction.classes[0]
        start = (_find_path(prediction), class_name, probabilities[class_name])
        return (*start, *_flags(prediction), *(probabilities[name] for name in class_names))

    columns = (*TABLE_COLUMNS, *class_names)
    write_table(path, columns, map(format_row, predictions), "utf-8-sig")


def write_review(path: Path, predictions: list[Prediction]) -> None:
    """Write photos as a table for a person to go through, least certain first.

    Its column `label` is for the person. Where the prediction is accepted, it stands there
    already; elsewhere it is empty.
    """
    rows = []
    for prediction in sorted(predictions, key=lambda told: (told.accepted, told.classes[0][1])):
        class_name, probability = prediction.classes[0]
        label = class_name if prediction.accepted else ""
        sure, unlike = _flags(prediction)
        place = _find_path(prediction)
        rows.append((place, label, sure, class_name, f"{probability:.3f}", unlike))
    write_table(path, REVIEW_COLUMNS, rows, "utf-8-sig")


def _flags(prediction: Prediction) -> list[str]:
    return ["yes" if f else "no" for f in (prediction.accepted, prediction.out_of_distribution)]


def _find_path(prediction: Prediction) -> Path:
    return Path(prediction.name).absolute()  # the table may be read from another folder
