from dataclasses import replace
from pathlib import Path

import pytest

from converters.engines.base import BuildOptions, Range
from converters.engines.record import (
    FILE_NAME,
    EngineRecord,
    Lineage,
    as_json,
    plain_options,
    plain_profiles,
    put,
    read,
)

RECORD = EngineRecord(
    file="model.plan",
    sha256="ab",
    size_bytes=3,
    format="plan",
    builder="tensorrt_rtx",
    builder_version="1.7.1.116",
    precision="int8",
    source=Lineage("pitch", 3, "savedmodel", "cd", 18),
    onnx_sha256="ef",
    built_at="2026-01-01T00:00:00+00:00",
    seconds=1.5,
    converters_version="1",
    compute_capabilities=(75, 120),
    kept_fp32=("Conv_1",),
    profiles=({"x": {"min": [1, 3], "opt": [2, 3], "max": [4, 3]}},),
    calibration={"origin": "a.npz", "batches": 4},
    gate={"ran": "onnx", "passed": True},
)


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    records = (RECORD, replace(RECORD, file="model_sm75.plan", source=Lineage("m.onnx", None, "onnx", "cd", 13)))
    (tmp_path / FILE_NAME).write_text(as_json(records))
    assert read(tmp_path) == records


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 99, "files": []}', '{"schema": 1, "files": [{}]}'])
def test_what_is_no_record_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    assert read(tmp_path) == ()
    assert read(tmp_path / "nowhere") == ()


def test_what_json_has_no_number_for_becomes_a_word(tmp_path: Path) -> None:
    gate = {"outputs": [{"max_rel": float("inf")}], "metrics": {"f": float("nan")}}
    (tmp_path / FILE_NAME).write_text(as_json((replace(RECORD, gate=gate),)))
    assert read(tmp_path)[0].gate == {"outputs": [{"max_rel": "inf"}], "metrics": {"f": "nan"}}


def test_a_record_takes_the_place_of_the_one_of_the_same_file(tmp_path: Path) -> None:
    other = replace(RECORD, file="other.plan")
    for record in (RECORD, other, replace(RECORD, seconds=3.0)):
        put(tmp_path, record)
    assert read(tmp_path) == (other, replace(RECORD, seconds=3.0))


def test_only_options_that_were_changed_are_told() -> None:
    assert plain_options(BuildOptions(compute_capabilities=(86,), profiles=({},))) == {}
    changed = BuildOptions(tf32=False, workspace_mib=64, timing_cache=Path("cache"))
    assert plain_options(changed) == {"workspace_mib": 64, "timing_cache": "cache", "tf32": False}


def test_profiles_are_told_by_input() -> None:
    told = plain_profiles(({"x": Range((1, 3), (2, 3), (4, 3))},))
    assert told == ({"x": {"min": (1, 3), "opt": (2, 3), "max": (4, 3)}},)
