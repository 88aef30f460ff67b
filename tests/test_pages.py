"""Pages are whole in one file, and can be read by anyone."""

import jinja2
import numpy as np
import pytest
from PIL import Image

from vision101.pages import embed_picture, write_report


@pytest.fixture
def templates(tmp_path, monkeypatch):
    """Return a folder with the real base of all pages, and a small page of the tests upon it."""
    from vision101 import pages as report

    folder = tmp_path / "templates"
    folder.mkdir()
    for path in report.TEMPLATES_FOLDER.glob("*.html"):
        (folder / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "small.html").write_text(
        """{% extends "page.html" %}
        {% from "parts.html" import picture, section, table %}
        {% set sections = [("photos", "Photos"), ("numbers", "Numbers")] %}
        {% block title %}{{ heading }}{% endblock %}
        {% block content %}
        {{ section(sections, "photos") }}
        {{ picture(source, "a grey square", "As it was.") }}
        {{ section(sections, "numbers") }}
        {{ table("Many columns", range(40), [range(1000, 1040)]) }}
        {% endblock %}"""
    )
    monkeypatch.setattr(report, "TEMPLATES_FOLDER", folder)
    return folder


def test_page_in_a_browser(templates, tmp_path, check_page):
    photo = np.full((20, 30, 3), 128, np.uint8)
    write_report(tmp_path / "a.html", "small.html", heading="Grey", source=embed_picture(photo))
    text = check_page(tmp_path / "a.html")
    assert all(word in text for word in ("Grey", "Photos", "As it was.", "1039"))


def test_names_are_shown_as_they_are_and_never_run(templates, tmp_path):
    name = "<script>alert(1)</script>"
    write_report(tmp_path / "a.html", "small.html", heading=name, source="data:,")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page


def test_a_page_that_lacks_something_is_not_written(templates, tmp_path):
    with pytest.raises(jinja2.UndefinedError):
        write_report(tmp_path / "a.html", "small.html", heading="Grey")
    assert not (tmp_path / "a.html").exists()


def test_embedded_pictures_are_the_pictures(tmp_path):
    Image.new("RGB", (4, 3), "red").save(tmp_path / "red.png")
    assert embed_picture(tmp_path / "red.png").startswith("data:image/png;base64,iVBOR")
    assert embed_picture(np.zeros((5, 5, 3), np.uint8)).startswith("data:image/jpeg;base64,/9j/")
