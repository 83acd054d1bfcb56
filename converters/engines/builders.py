"""All engine builders there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from converters.engines.base import Builder
from converters.engines.tensorrt import TensorRTBuilder
from converters.engines.tensorrt_rtx import RtxBuilder
from converters.errors import ConfigError
from converters.nearest import nearest

BUILDERS: Mapping[str, Callable[[], Builder]] = {
    "tensorrt": TensorRTBuilder,
    "tensorrt_rtx": RtxBuilder,
}


def builder(name: str) -> Builder:
    """The builder of that name; its library is loaded once it is asked for something.

    Raises:
        ConfigError: there is none.
    """
    make = BUILDERS.get(name)
    if make is None:
        raise ConfigError(f"there is no engine builder '{name}'", hint=nearest(name, BUILDERS))
    return make()
