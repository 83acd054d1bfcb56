from pathlib import Path

import onnx
import pytest

from converters.build.onnx_step import facts_of, to_onnx
from converters.errors import BadData, BadSource, ConversionError, Place
from tests.converters.build.building import Told, configuration, small_model, workbench, write_inputs

FP32 = {"fp32": {"precision": "fp32"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_inputs(tmp_path)
    return tmp_path


def test_the_original_becomes_onnx_once(folder: Path) -> None:
    told = Told()
    for _ in range(2):
        converted = to_onnx(workbench(folder, configuration(FP32), told))
    assert told.states("to ONNX") == ["done", "cached"]
    assert (converted.facts.opset, converted.facts.classical) == (18, False)
    assert converted.lineage.name == "small.onnx"
    assert converted.lineage.sha256 == converted.original.digest
    assert [len(feeds["x"]) for feeds in converted.verification or ()] == [8, 8]


def test_dimensions_are_fixed_as_asked_for(folder: Path) -> None:
    config = configuration(FP32, export={"fixed": {"x": {0: 8}}})
    assert str(to_onnx(workbench(folder, config)).facts.signature.inputs[0]) == "x: FP32 [8, 8]"


@pytest.mark.parametrize("change", [{"export": {"opset": 19}}, {"source": "other.onnx"}])
def test_another_source_or_option_makes_another_model(folder: Path, change: dict[str, object]) -> None:
    onnx.save(small_model(2.0), folder / "other.onnx")
    first = to_onnx(workbench(folder, configuration(FP32)))
    assert to_onnx(workbench(folder, configuration(FP32, **change))).made.digest != first.made.digest


def test_data_that_does_not_fit_is_told_when_it_is_used(folder: Path) -> None:
    config = configuration(FP32, data={"verification": {"npz": "wrong.npz"}})
    (folder / "wrong.npz").write_bytes((folder / "verification.npz").read_bytes()[:100])
    with pytest.raises(BadData, match=r"small, to ONNX: .*wrong.npz"):
        to_onnx(workbench(folder, config))


def test_a_source_that_is_not_there(folder: Path) -> None:
    with pytest.raises(BadSource) as caught:
        to_onnx(workbench(folder, configuration(FP32, source="none.onnx")))
    assert caught.value.place.step == "to ONNX"


def test_what_a_graph_cannot_be_is_told_with_model_and_node(folder: Path) -> None:
    model = small_model()
    model.graph.node[1].CopyFrom(onnx.helper.make_node("Swirl", ["h"], ["r"], name="swirl", domain="acme"))
    model.opset_import.append(onnx.helper.make_opsetid("acme", 1))
    onnx.save(model, folder / "small.onnx")
    with pytest.raises(ConversionError, match=r"no operator for acme.Swirl") as caught:
        to_onnx(workbench(folder, configuration(FP32)))
    assert caught.value.place == Place("small", "to ONNX", "swirl (acme.Swirl)")


def test_facts_tell_the_size() -> None:
    assert facts_of(small_model(), 7).size_bytes == 7
