import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tap.report.scale import Scale, bar, label, level, line, power_of_ten, px, round_up, svg


def test_values_stand_between_both_ends() -> None:
    scale = Scale(10, 20, 100, 0)
    assert [scale(value) for value in (10, 15, 20)] == [100, 50, 0]


@given(st.floats(1e-12, 1e12))
def test_rounding_up_gives_the_next_round_number(value: float) -> None:
    rounded = round_up(value)
    assert value * (1 - 1e-8) <= rounded <= 2.5 * value * (1 + 1e-8)
    assert f"{rounded:e}"[0] in "125"


@pytest.mark.parametrize(("exponent", "said"), [(0, "1"), (1, "10"), (-3, "10⁻³"), (12, "10¹²")])
def test_powers_of_ten_are_written_as_such(exponent: int, said: str) -> None:
    assert power_of_ten(exponent) == said


def test_drawings_tell_what_they_show() -> None:
    drawn = [bar((1, 3), (0, 2), "good", "<5>"), line((0, 0), (1, 1), "grid"), label((1, 2), "x"), level(3, 100, "7")]
    written = svg((600, 20), "Title", "told", drawn)
    assert 'viewBox="0 0 600 20" role="img" aria-label="Title. told" class="broad"' in written
    assert "<title>Title</title><desc>told</desc>" in written
    assert '<rect x="1.0" y="0.0" width="2.0" height="2.0" class="good"><title>&lt;5&gt;</title></rect>' in written
    assert 'class="broad"' not in svg((100, 20), "Title", "told", drawn)
    assert px(1.26) == "1.3"


def test_nothing_has_a_negative_width() -> None:
    assert 'width="0.0" height="0.0"' in bar((3, 1), (2, 0), "good", "")
