"""Which export options a kind of model takes: one that would do nothing is refused, and not passed over."""

from __future__ import annotations

from collections.abc import Mapping

from converters.errors import ConfigError
from converters.originals.base import ExportOptions

_OF_PYTORCH = frozenset({"dynamic", "outputs"})
TAKEN: Mapping[str, frozenset[str]] = {
    "savedmodel": frozenset({"signature"}),
    "torchscript": _OF_PYTORCH,
    "exported": frozenset({"outputs"}),
    "factory": _OF_PYTORCH,  # of a function that returns a module
}
"""By kind; an opset and a sample are taken, or not needed, by all."""

_INSTEAD = {
    "dynamic": "the dimensions are those that the model was saved with",
    "outputs": "the outputs keep the names that they have",
    "signature": "only a SavedModel has signatures",
}


def check_taken(kind: str, options: ExportOptions) -> None:
    """Whether a kind of model takes these options.

    Raises:
        ConfigError: it takes one of them not; says which.
    """
    defaults = ExportOptions()
    for name, instead in _INSTEAD.items():
        if name not in TAKEN.get(kind, frozenset()) and getattr(options, name) != getattr(defaults, name):
            raise ConfigError(
                f"a model of kind {kind} takes no '{name}': {instead}", hint=f"leave '{name}' out, or export it anew"
            )
