import json
from typing import Any

from gateway.repository.catalog import UNKNOWN, entries, entry, nearest
from gateway.repository.description import Description, Tensor
from gateway.repository.record import FileRecord, ModelRecord, VersionRecord

ABOUT = Description(
    "onnx", "onnxruntime", "onnx", (Tensor("x", "FP32", (-1, 4)),), (Tensor("y", "INT64", (-1,), labels="y.txt"),),
    True, "model.onnx", opset="ai.onnx 17", ambiguous=("batch",), origin={"producer": "pytorch"},
)  # fmt: skip
CHECK = {"name": "deterministic", "detail": "two runs", "seconds": 0.2}
SAMPLE = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}


def version(number: int, state: Any = "kept", **values: Any) -> VersionRecord:
    about = json.loads(json.dumps(ABOUT.as_dict()))
    files = {"model.onnx": FileRecord("ab", 1000 + number, 1, 1), "model.data": FileRecord("cd", 10, 1, 1)}
    standard = {"source": "m.onnx", "source_sha256": "ef", "description": about, "checks": (CHECK,)}
    return VersionRecord(
        number, state, f"2026-01-0{number}", **standard | {"files": files, "sample": (SAMPLE,)} | values
    )


def model(*versions: VersionRecord) -> ModelRecord:
    return ModelRecord("m", {each.version: each for each in versions}, 9)


def test_records_and_status_are_told_together() -> None:
    status = {"models": {"b": {"state": "ready"}, "drop": {"state": "preparing", "step": "inspecting"}}}
    found = entries({"b": model(version(1)), "a": model(version(1))}, status)
    assert [(each.name, each.state) for each in found] == [("a", UNKNOWN), ("b", "ready"), ("drop", "preparing")]
    assert found[2].step == "inspecting"
    assert entries({}, {}) == []


def test_without_a_running_gateway_the_highest_kept_version_is_the_one() -> None:
    found = entry("m", model(version(1), version(2), version(3, "retired", reason="rolled back")), {})
    assert [(each.number, each.state, each.reason) for each in found.versions] == [
        (3, "retired", "rolled back"), (2, "serving", ""), (1, "kept", "")
    ]  # fmt: skip
    assert (found.serving, found.version) == ((2,), 2)
    assert found.memory_mib is None


def test_a_site_tells_which_versions_are_served() -> None:
    record = model(version(1), version(2))
    assert entry("m", record, {"sites": {"embedded": {"state": "loading", "versions": [1]}}}).serving == (1,)
    failed = entry("m", record, {"state": "failed", "sites": {"embedded": {"state": "failed", "versions": []}}})
    assert (failed.serving, failed.version) == ((), 2)


def test_memory_is_that_of_all_sites_that_tell() -> None:
    sites = {"a": {"memory_mib": 67.5}, "b": {"memory_mib": 67}, "c": {"memory_mib": None}}
    assert entry("m", None, {"sites": sites}).memory_mib == 134.5


def test_a_model_that_nobody_looked_into_has_no_signature() -> None:
    found = entry("m", model(version(1, description=None, checks=(), sample=())), {})
    assert (found.inputs, found.outputs, found.batches) == ((), (), False)
    assert found.as_dict()["kind"] is None


def test_everything_is_told_as_json() -> None:
    live = {
        "state": "failed", "reason": "no memory", "since": "2026-01-05", "drop": "m.onnx",
        "sites": {"embedded": {"state": "failed", "reason": "no memory", "versions": [1], "memory_mib": 67}},
    }  # fmt: skip
    told = entry("m", model(version(1)), live).as_dict()
    assert json.loads(json.dumps(told)) == told
    assert told == {
        "name": "m",
        "state": "failed",
        "reason": "no memory",
        "serving": [1],
        "versions": [
            {
                "version": 1, "state": "serving", "published_at": "2026-01-01", "source": "m.onnx",
                "size_bytes": 1011, "reason": "",
            }
        ],
        "kind": "onnx",
        "framework": "onnx",
        "backend": "onnxruntime",
        "batches": True,
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4], "optional": False, "labels": ""}],
        "outputs": [{"name": "y", "datatype": "INT64", "shape": [-1, 1], "optional": False, "labels": "y.txt"}],
        "size_bytes": 1011,
        "memory_mib": 67,
        "sites": live["sites"],
        "step": "",
        "since": "2026-01-05",
        "drop": "m.onnx",
        "opset": "ai.onnx 17",
        "origin": {"producer": "pytorch"},
        "ambiguous": ["batch"],
        "checks": [CHECK],
    }  # fmt: skip


def test_a_version_tells_its_files_without_what_is_in_them() -> None:
    [only] = entry("m", model(version(1)), {}).versions
    assert only.as_dict()["files"] == {
        "model.onnx": {"sha256": "ab", "size": 1001}, "model.data": {"sha256": "cd", "size": 10}
    }  # fmt: skip
    assert only.as_dict()["source_sha256"] == "ef"


def test_the_nearest_name_is_what_was_meant() -> None:
    assert nearest("irsi", ["iris", "magika"]) == "iris"
    assert nearest("xyz", ["iris"]) is None


def test_a_refused_drop_does_not_change_that_the_older_version_serves() -> None:
    live = {
        "state": "refused",
        "reason": "no ONNX",
        "drop": "m.onnx",
        "sites": {"a": {"state": "ready", "versions": [1]}},
    }
    told = entry("m", None, live)
    assert (told.state, told.reason) == ("ready", "m.onnx is refused: no ONNX")
    assert entry("m", None, {**live, "sites": {}}).state == "refused"
