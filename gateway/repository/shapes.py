"""Shapes: as people write them, as messages show them, and whether one fits another."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.repository.description import ANY

_ANY = re.compile(r"-1|\?|\*|None|[A-Za-z_]\w*")
_ANY_BESIDE_X = re.compile(r"-1|\?|\*|[A-WYZa-wyz]")


def parse_shape(value: object) -> tuple[int, ...]:
    """A shape from a list or a text: `[N, 3, 224, 224]`, `-1,3,224,224`, `1x3x224x224`; nothing is a scalar.

    Any size is -1, `?`, `*`, null or a name.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, str):
        text = value.strip().strip("[]()").rstrip(",")
        if not text.strip():
            return ()
        if "," in text or not re.search(r"[\d?*]\s*x|x\s*[\d?*-]", text):
            return tuple(_dimension(each, _ANY, value) for each in text.split(","))
        return tuple(_dimension(each, _ANY_BESIDE_X, value) for each in text.split("x"))
    if isinstance(value, int) and not isinstance(value, bool):
        return (_dimension(value, _ANY, value),)
    if isinstance(value, list | tuple):
        return tuple(_dimension(each, _ANY, value) for each in value)
    raise ValueError(_unreadable(value))


def _dimension(value: object, any_size: re.Pattern[str], shape: object) -> int:
    text = "-1" if value is None else str(value).strip()
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    if isinstance(value, bool) or not any_size.fullmatch(text):
        raise ValueError(_unreadable(shape))
    return ANY


def _unreadable(shape: object) -> str:
    return f"{shape!r} is no shape; write sizes of 1 or more, with -1 for any size, such as [-1, 3, 224, 224]"


def show(shape: Sequence[int]) -> str:
    """Such as `[-1, 3, 224, 224]`."""
    return f"[{', '.join(map(str, shape))}]"


def fits(given: Sequence[int], model: Sequence[int]) -> bool:
    """Whether each size that the model fixes is the given one; where the model takes any size, any may be given.

    A scalar fits one element, as which Triton knows it.
    """
    if not model:
        return list(given) in ([], [1])
    return len(given) == len(model) and all(size in (ANY, wanted) for wanted, size in zip(given, model, strict=True))
