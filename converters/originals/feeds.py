"""Input is checked before a framework sees it, so that the error names the tensor and what it should be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from converters.arrays import Array, Feeds
from converters.errors import BadData


def taken(feeds: Feeds, names: Sequence[str]) -> dict[str, Array]:
    """The arrays of a model's inputs, in its order.

    Raises:
        BadData: one is missing, or there is one that the model does not have.
    """
    known = ", ".join(f"'{name}'" for name in names)
    for name in names:
        if name not in feeds:
            raise BadData(f"the data has no '{name}'", hint=f"the model needs {known}").at(step="run the original")
    for name in feeds:
        if name not in names:
            raise BadData(f"the model has no input '{name}'", hint=f"it has {known}").at(step="run the original")
    return {name: np.asarray(feeds[name]) for name in names}


def rows(feeds: Feeds, name: str, features: int) -> Array:
    """The one input of a model over rows of features, as float32 [rows, features].

    Raises:
        BadData: it is missing, there are others, or it has another shape.
    """
    array = taken(feeds, [name])[name]
    if array.ndim != 2 or array.shape[1] != features or array.dtype.kind not in "fiub":
        raise BadData(
            f"'{name}' is {array.dtype} {list(array.shape)}",
            hint=f"the model needs numbers of shape [rows, {features}]",
        ).at(step="run the original")
    return np.ascontiguousarray(array, np.float32)
