from pathlib import Path

import pytest

from converters.commands import options
from converters.errors import ConfigError
from tests.converters.commands.running import refused


def test_dimensions() -> None:
    assert options.sizes(["x:2=32,64,128", "x:3=48"]) == {"x": {2: (32, 64, 128), 3: (48, 48, 48)}}
    assert options.dynamic(["ids:1=tokens", "mask:1=tokens"]) == {"ids": {1: "tokens"}, "mask": {1: "tokens"}}
    assert options.fixed(["a:b:2=48"]) == {"a:b": {2: 48}}


@pytest.mark.parametrize("text", ["x=3", "x:1=", "x:a=1,2,3", ":1=2"])
def test_a_dimension_that_cannot_be_read_says_how_it_is_written(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--shape .* cannot be read; write INPUT:AXIS=MIN,OPT,MAX, as x:2=32,64,128"):
        options.sizes([text])
    with pytest.raises(ConfigError, match=r"--dynamic .* cannot be read"):
        options.dynamic([text])
    with pytest.raises(ConfigError, match=r"--fixed .* cannot be read"):
        options.fixed([text])


@pytest.mark.parametrize("text", ["1,2", "a,b,c", "0", "0,1,2", "", "-1", "1.5"])
def test_three_numbers_or_one(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--batch .*cannot be read; write MIN,OPT,MAX"):
        options.three("--batch", text, text)


def test_three_numbers_ascend() -> None:
    assert options.three("--batch", "", "1, 8,32") == (1, 8, 32)
    with pytest.raises(ConfigError, match="must ascend"):
        options.three("--batch", "8,4,1", "8,4,1")


def test_a_size_is_a_number() -> None:
    with pytest.raises(ConfigError, match="'many' is no size"):
        options.fixed(["x:2=many"])


def test_a_gate_of_what_is_asked_for() -> None:
    section = options.gate_section({"cosine": 0.9, "max_abs": None}, ["m.py:f>=0.5", "m:g<=2"])
    assert section is not None
    assert (section.cosine, section.max_abs) == (0.9, None)
    assert [(m.function, m.at_least, m.at_most) for m in section.metrics] == [("m.py:f", 0.5, None), ("m:g", None, 2)]
    assert options.gate_section({"cosine": None}, []) is None


@pytest.mark.parametrize("text", ["m.py:f", "m.py:f>=", "m.py:f>=much", ">=1"])
def test_a_metric_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--metric .* cannot be read"):
        options.gate_section({}, [text])


def test_where_nothing_can_be_written_is_told_before_any_work(here: Path) -> None:
    told = refused(2, "onnx", "nothing.onnx", "-o", here / "small.onnx/x.onnx")
    assert "small.onnx/x.onnx' cannot be written" in told
