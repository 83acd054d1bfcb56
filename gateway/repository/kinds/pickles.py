"""Pickles: recognised so that they can be refused with the way out.

A pickle runs whatever code is in it when it is opened, so none ever is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from gateway.core.errors import ModelRefused
from gateway.repository.description import Description, Hints
from gateway.repository.kinds.base import Target

if TYPE_CHECKING:
    from gateway.repository.kinds.base import Array

_SUFFIXES = frozenset({".cloudpickle", ".dill", ".joblib", ".pickle", ".pkl", ".sav"})
_PROTOCOLS = tuple(b"\x80" + bytes([version]) for version in (2, 3, 4, 5))
_STOP = b"."


class PickleKind:
    """A pickled Python object, which is never opened."""

    name = "pickle"
    title = "pickled Python object"

    def recognise(self, source: Path) -> bool:
        """By the ending, or by the first and the last bytes."""
        try:
            return source.is_file() and (source.suffix.lower() in _SUFFIXES or _is_pickle(source))
        except OSError:
            return False

    def companions(self, source: Path) -> tuple[Path, ...]:
        """None: it is not opened."""
        del source
        return ()

    def prepare(self, source: Path, target: Target, hints: Hints) -> NoReturn:
        """Refuse it.

        Raises:
            ModelRefused: always.
        """
        del target, hints
        stem = source.stem
        raise ModelRefused(
            f"'{source.name}' is a pickle, and opening a pickle runs whatever code is in it, so it is never served. "
            f"Save the model itself: skops.io.dump(model, '{stem}.skops') for scikit-learn, "
            f"model.save_model('{stem}.json') for XGBoost, model.booster_.save_model('{stem}.txt') for LightGBM, "
            f"torch.jit.save or torch.export.save for PyTorch, model.save('{stem}.keras') for Keras"
        )

    def reference(self, version: Path, description: Description, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Nothing: it is never opened."""
        del version, description, inputs
        return {}


def _is_pickle(source: Path) -> bool:
    with source.open("rb") as file:
        if not file.read(2).startswith(_PROTOCOLS):
            return False
        file.seek(-1, 2)
        return file.read(1) == _STOP
