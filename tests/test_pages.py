"""Pages are whole in one file, and can be read by anyone."""

import jinja2
import numpy as np
import pytest
from PIL import Image

from vision101.pages import embed_picture, link_to, write_report


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
    assert all(word in text for word in ("Grey", "Photos", "As it was.", "1,039"))


def test_tables_on_a_phone_show_whole_numbers_and_say_where_they_scroll(templates, browser):
    (templates / "tables.html").write_text(
        """{% extends "page.html" %}
        {% from "parts.html" import table %}
        {% block title %}Tables{% endblock %}
        {% block content %}
        {{ table("Few", headings[:5], few) }}
        {{ table("Many", headings, many) }}
        {% endblock %}"""
    )
    headings = ["class", "photos", "precision", "recall", "F1", *"abcde"]
    name, score = "climbing roses (David Austin)", "91.7 % (62.1 – 100.0)"
    rows = {"few": [[name, 1000, score, score, score]], "many": [[name, *range(1000, 1009)]]}
    write_report(templates / "page.html", "tables.html", headings=headings, **rows)
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto((templates / "page.html").as_uri())
    few, many = page.locator(".scroll").all()
    assert few.evaluate("element => element.scrollWidth <= element.clientWidth")
    assert "swipe" not in few.inner_text()
    assert "swipe" in many.inner_text()
    # For a screen reader it is a table as before.
    assert 'rowheader "climbing' in few.aria_snapshot()
    assert 'cell "1,000"' in few.aria_snapshot()
    for distance in (0, 130, 2000):
        place = many.evaluate(
            """(element, distance) => {
                element.scrollTo(distance, 0);
                const box = cell => cell.getBoundingClientRect(), right = box(element).right;
                const name = box(element.querySelector("tbody th"));
                const cells = [...element.querySelectorAll("td")].map(box);
                const cut = edge => cells.some(td => td.left < edge - 1 && td.right > edge + 1);
                return [name.left - box(element).left, cut(name.right), cut(right)];
            }""",
            distance,
        )
        assert place == [0, False, False]  # the name stays, and no number is cut
    page.close()


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
    figure = embed_picture(tmp_path / "red.png")
    assert figure.startswith('src="data:image/png;base64,iVBOR')
    assert figure.endswith('width="2" height="1"')  # two pixels for each, on sharp screens
    photographic = embed_picture(tmp_path / "red.png", photographic=True)
    assert photographic.startswith('src="data:image/webp;base64,UklGR')
    photo = embed_picture(np.zeros((5, 5, 3), np.uint8))
    assert photo.startswith('src="data:image/jpeg;base64,/9j/')
    assert photo.endswith('width="5" height="5"')


@pytest.mark.parametrize("name", ["a b.jpg", "50%.jpg", "c#?.jpg", "x:y.jpg", "向日葵.jpg"])
def test_links_lead_to_the_file_from_where_the_page_lies(name, tmp_path, browser):
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (4, 3)).save(tmp_path / "photos" / name)
    (tmp_path / "run").mkdir()
    link = link_to(tmp_path / "photos" / name, tmp_path / "run")
    assert link.startswith("../photos/")
    (tmp_path / "run" / "a.html").write_text(f'<img src="{link}">')
    page = browser.new_page()
    page.goto((tmp_path / "run" / "a.html").as_uri())
    assert page.evaluate("document.images[0].naturalWidth") == 4
    page.close()


def test_embeddings_can_be_walked_through_with_the_keyboard(finished_run, browser):
    run_folder, _ = finished_run
    page = browser.new_page()
    page.goto((run_folder / "report.html").as_uri())
    page.focus(".point[tabindex='0']")
    seen, places = set(), set()
    for key in ["ArrowRight"] * 3 + ["ArrowLeft"] * 6 + ["ArrowDown"] * 3:
        page.keyboard.press(key)
        seen.add(page.inner_text(".looked-at a"))
        places.add(page.evaluate("document.querySelector('.looked-at img').style.objectPosition"))
        assert page.evaluate("document.activeElement.getAttribute('class')") == "point shown"
    assert len(seen) == len(places) > 3
    # One stop of the Tab key, however many photos there are.
    assert page.locator(".point[tabindex='0']").count() == 1
    assert page.get_attribute(".looked-at img", "alt").startswith(page.inner_text(".looked-at a"))
    page.close()
