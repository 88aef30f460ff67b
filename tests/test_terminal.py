"""What a person sees: text wrapped at words on a terminal, plain lines where nobody watches."""

import pytest

from vision101.terminal import format_seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0996, "100 ms"), (0.00094, "0.94 ms"), (0.5, "500 ms"), (99, "99 s"), (4000, "67 min")],
)
def test_durations_are_in_the_unit_that_a_person_would_use(seconds, text):
    assert format_seconds(seconds) == text
