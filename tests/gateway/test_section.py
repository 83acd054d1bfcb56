from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.section import Section, Share, UserPath


class Leaf(Section):
    share: Share = 0.0
    path: UserPath | None = None


def test_a_section_is_closed_and_immutable() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Leaf.model_validate({"size": 1})
    with pytest.raises(ValidationError, match="frozen"):
        Leaf().share = 1.0  # type: ignore[misc]  # that it cannot be set is the point


def test_a_share_may_have_a_fraction_and_ends_at_a_hundred() -> None:
    assert Leaf(share=0.5).share == 0.5
    with pytest.raises(ValidationError, match="less than or equal to 100"):
        Leaf(share=100.5)


def test_a_tilde_is_the_user_s_home() -> None:
    assert Leaf(path=Path("~/x")).path == Path.home() / "x"
