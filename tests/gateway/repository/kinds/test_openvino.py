from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.description import Description, Hints, Tensor
from gateway.repository.kinds.base import Target
from gateway.repository.kinds.openvino import OpenVINOKind

KIND = OpenVINOKind()
NETWORK = """<?xml version="1.0"?>
<net name="net" version="11">
  <layers>
    <layer id="0" name="x" type="Parameter" version="opset1">
      <data shape="?,3,1..8,4" element_type="f32" />
      <output><port id="0" precision="FP32" names="pixels,a\\,b"><dim>-1</dim><dim>3</dim></port></output>
    </layer>
    <layer id="1" name="split" type="Split" version="opset13">
      <output>
        <port id="2" precision="FP32"><dim>-1</dim><dim>1</dim></port>
        <port id="3" precision="I64" names="index"><dim>-1</dim><dim>2</dim></port>
      </output>
    </layer>
    <layer id="2" name="r0" type="Result" version="opset1" />
    <layer id="3" name="r1" type="Result" version="opset1" />
  </layers>
  <edges>
    <edge from-layer="0" from-port="0" to-layer="1" to-port="0" />
    <edge from-layer="1" from-port="2" to-layer="2" to-port="0" />
    <edge from-layer="1" from-port="3" to-layer="3" to-port="0" />
  </edges>
  <rt_info><Runtime_version value="2026.4.1" /></rt_info>
</net>"""


@pytest.fixture
def target(tmp_path: Path) -> Target:
    made = Target(tmp_path / "target", tmp_path / "target" / "1")
    made.version.mkdir(parents=True)
    return made


def write(folder: Path, text: str = NETWORK) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "net.bin").write_bytes(bytes(8))
    (folder / "net.xml").write_text(text, encoding="utf-8")
    return folder / "net.xml"


def refusal(text: str, target: Target, folder: Path) -> str:
    with pytest.raises(ModelRefused) as refused:
        KIND.prepare(write(folder, text), target, Hints())
    return refused.value.message


def test_a_network_and_its_weights_tell_everything(tmp_path: Path, target: Target) -> None:
    description = KIND.prepare(write(tmp_path), target, Hints())
    assert description == Description(
        kind="openvino",
        backend="openvino",
        framework=None,
        inputs=(Tensor("a,b", "FP32", (-1, 3, -1, 4)),),
        outputs=(Tensor("split.0", "FP32", (-1, 1)), Tensor("index", "INT64", (-1, 2))),
        batches=True,
        filename="model.xml",
        size_bytes=len(NETWORK) + 8,
        opset="opset13",
        origin={"format": "OpenVINO IR 11", "producer": "OpenVINO 2026.4.1"},
    )
    assert sorted(path.name for path in target.version.iterdir()) == ["model.bin", "model.xml"]
    assert KIND.reference(target.version, description, {}) == {}


def test_the_weights_are_a_companion_and_must_be_there(tmp_path: Path, target: Target) -> None:
    network = write(tmp_path / "drop")
    assert KIND.companions(network) == (network.with_suffix(".bin"),)
    network.with_suffix(".bin").unlink()
    assert KIND.companions(network) == ()
    with pytest.raises(ModelRefused, match=r"'net\.bin' is missing: it holds the weights of 'net\.xml'"):
        KIND.prepare(network, target, Hints())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('<!DOCTYPE net [<!ENTITY a "b">]>' + NETWORK.partition("?>")[2], "document type or entities"),
        (NETWORK[:-20], "no whole XML file"),
        ("<net/>", "no OpenVINO network"),
        (NETWORK.replace('version="11"', 'version="7"'), "IR version 7, which OpenVINO no longer reads"),
        (NETWORK.replace('element_type="f32"', 'element_type="nf4"'), "input 'a,b' is nf4, which Triton cannot carry"),
        (NETWORK.replace("?,3,1..8,4", "..."), "input 'a,b' may have any number of dimensions"),
        (NETWORK.replace('from-port="2"', 'from-port="9"'), "the result 'r0' is connected to nothing"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, target: Target, text: str, reason: str) -> None:
    assert reason in refusal(text, target, tmp_path / "drop")


def test_text_in_other_encodings_is_refused_before_it_is_parsed(tmp_path: Path, target: Target) -> None:
    network = write(tmp_path / "drop")
    network.write_bytes(NETWORK.encode("utf-16"))
    with pytest.raises(ModelRefused, match="is not UTF-8"):
        KIND.prepare(network, target, Hints())


def test_what_is_recognised(tmp_path: Path) -> None:
    network = write(tmp_path / "drop")
    assert KIND.recognise(network)
    assert KIND.recognise(tmp_path / "drop")
    assert not KIND.recognise(network.with_suffix(".bin"))
    assert not KIND.recognise(tmp_path)
    assert not KIND.recognise(tmp_path / "absent.xml")
    (tmp_path / "other.xml").write_text("<html/>")
    assert not KIND.recognise(tmp_path / "other.xml")
    (tmp_path / "drop" / "1").mkdir()
    assert not KIND.recognise(tmp_path / "drop")
