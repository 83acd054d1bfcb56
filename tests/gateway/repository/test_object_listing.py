from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.repository.object_listing import fingerprint, group

WHEN = datetime(2026, 1, 2, tzinfo=UTC)


def listed(*paths: str, size: int = 3) -> list[dict[str, Any]]:
    return [{"path": path, "size": size, "e_tag": f'"{path}"', "last_modified": WHEN} for path in paths]


def test_a_folder_is_one_entry_and_a_file_with_its_sidecars_another() -> None:
    entries, refused = group(listed("m/1/model.onnx", "m/config.pbtxt", "x.npz", "x.onnx", "x.onnx.data", "x.yaml"))
    assert refused == {}
    assert {key: entry.names for key, entry in entries.items()} == {
        "m/": ("m",),
        "x": ("x.npz", "x.yaml", "x.onnx", "x.onnx.data"),
    }
    assert entries["m/"].files == ("m/1/model.onnx", "m/config.pbtxt")


def test_hidden_objects_and_marks_of_folders_are_passed_over() -> None:
    entries, refused = group(listed("m/1/model.onnx", ".cache/x") + listed("m", "m/1", "empty", size=0))
    assert (list(entries), refused) == (["m/"], {})
    assert entries["m/"].files == ("m/1/model.onnx",)


def test_an_empty_file_is_a_file() -> None:
    entries, _ = group(listed("m/1/marker", size=0) + listed("m/1/model.py"))
    assert entries["m/"].files == ("m/1/marker", "m/1/model.py")


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        (["a b/1/model.onnx"], "cannot be a model's name; rename it"),
        (["a$(touch x).onnx"], "cannot be a model's name; rename it"),
        (["m/../../etc/passwd"], "cannot be the path of a file"),
        (["m//etc/passwd"], "cannot be the path of a file"),
        (["m/1\\model.onnx"], "cannot be the path of a file"),
        (["m/" + "x" * 256], "cannot be the path of a file"),
        (["m/1", "m/1/model.onnx"], "is an object, and a folder too"),
    ],
)
def test_what_cannot_be_a_model_is_refused_as_a_whole_and_holds_up_no_other(paths: list[str], reason: str) -> None:
    entries, refused = group(listed(*paths, "good/1/model.onnx"))
    assert list(entries) == ["good/"]
    assert len(refused) == 1
    assert reason in next(iter(refused.values()))


def test_where_a_store_has_no_tags_the_time_tells_changes() -> None:
    old = fingerprint({"path": "x", "size": 1, "e_tag": None, "last_modified": WHEN})
    new = fingerprint({"path": "x", "size": 1, "e_tag": None, "last_modified": WHEN.replace(year=2027)})
    assert old != new
