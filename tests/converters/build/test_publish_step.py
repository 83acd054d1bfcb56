"""What `test_model_build.py` does not come across."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters.build.engine_step import Engine, PlanFacts
from converters.build.gate_step import Judge
from converters.build.onnx_step import to_onnx
from converters.build.publish_step import Publication
from converters.build.variant_step import Base, VariantStep
from converters.engines.base import Range
from converters.engines.record import read
from converters.engines.validity import pack_header
from converters.errors import ConversionError
from converters.graph.files import digest_of_file
from converters.graph.signature import signature_of
from tests.converters.build.building import RTX, configuration, workbench, write_inputs

PROFILE = {"x": Range((1, 8), (4, 8), (8, 8))}


class Made:
    """The small model in INT8, and its publication for a target with these options."""

    def __init__(self, folder: Path, **target: object) -> None:
        write_inputs(folder)
        config = configuration({"v": {"precision": "int8", "gate": {"cosine": 0.5}}}, targets=["rtx"])
        changed = type(config.targets["rtx"]).model_validate({**RTX, **target})
        bench = workbench(folder, config.model_copy(update={"targets": {"rtx": changed}}))
        converted = to_onnx(bench)
        base = Base(converted.made, lambda: converted.model)
        self.folder = folder
        self.typed = VariantStep(bench, converted, Judge(bench, converted), "v").made_from(base)
        self.publication = Publication(bench, converted, self.typed, "v", "rtx")

    def engine(self, capability: int, *, cached: bool = False) -> Engine:
        """A plan of nothing but a header."""
        data = pack_header(b"vtrt", "1.7.1.116", (capability,), 64)
        path = self.folder / f"{capability}.plan"
        path.write_bytes(data)
        facts = PlanFacts(
            "tensorrt_rtx", "1.7.1.116", (capability,), signature_of(self.typed.model()), (PROFILE,), 2.0, ("slow",),
            digest_of_file(path), len(data),
        )  # fmt: skip
        return Engine(path, facts, cached, "onnx", None)


def test_a_record_says_how_the_plan_was_built_calibrated_and_judged(tmp_path: Path) -> None:
    made = Made(tmp_path, tf32=False, workspace_mib=64)
    built = made.publication.engines([made.engine(86), made.engine(120, cached=True)])
    assert (built.published, built.new, built.cached, built.seconds) == ("small_v_rtx/1", True, False, 4.0)
    assert built.warnings == ("slow",)
    assert built.compute_capabilities == (86, 120)
    folder = tmp_path / "out/repository/small_v_rtx/1"
    assert {path.name for path in folder.iterdir()} == {"engine.json", "model_sm86.plan", "model_sm120.plan"}
    record = read(folder)[0]
    assert record.options == {"tf32": False, "workspace_mib": 64}
    assert record.profiles == ({"x": {"min": [1, 8], "opt": [4, 8], "max": [8, 8]}},)
    assert (record.calibration["method"], record.calibration["batches"]) == ("minmax", 4)
    assert record.calibration["sha256"]
    assert (record.gate["ran"], record.gate["passed"]) == ("onnx", True)
    assert record.onnx_sha256 == digest_of_file(made.typed.made.folder / "model.onnx")


def test_the_same_again_makes_no_new_version_and_another_does(tmp_path: Path) -> None:
    made = Made(tmp_path)
    first, second = (made.publication.engines([made.engine(86)]) for _ in range(2))
    other = made.publication.engines([made.engine(89)])
    assert [(each.published, each.new) for each in (first, second, other)] == [
        ("small_v_rtx/1", True),
        ("small_v_rtx/1", False),
        ("small_v_rtx/2", True),
    ]


def test_plans_without_weights_come_with_the_onnx_that_has_them(tmp_path: Path) -> None:
    made = Made(tmp_path, strip_weights=True)
    made.publication.engines([made.engine(86)])
    folder = tmp_path / "out/repository/small_v_rtx/1"
    assert (folder / "model.onnx").read_bytes() == (made.typed.made.folder / "model.onnx").read_bytes()


def test_a_repository_that_cannot_be_written_is_told_with_model_and_step(tmp_path: Path) -> None:
    made = Made(tmp_path)
    (tmp_path / "out/repository").write_text("a file")
    with pytest.raises(ConversionError, match="small, publish v rtx: "):
        made.publication.engines([made.engine(86)])
