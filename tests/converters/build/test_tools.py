from __future__ import annotations

from converters.build.tools import versions


def test_versions_are_of_what_is_installed() -> None:
    told = versions(("onnx", "no-such-library"))
    assert list(told) == ["onnx"]
    assert told["onnx"][0].isdigit()
