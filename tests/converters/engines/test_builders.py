from __future__ import annotations

import pytest

from converters.engines.builders import BUILDERS, builder
from converters.errors import ConfigError


@pytest.mark.parametrize("name", BUILDERS)
def test_names(name: str) -> None:
    assert builder(name).name == name


def test_unknown_names() -> None:
    with pytest.raises(ConfigError, match="did you mean 'tensorrt_rtx'"):
        builder("tensorrt-rtx")
    with pytest.raises(ConfigError, match="known here: tensorrt, tensorrt_rtx"):
        builder("openvino")
