import os
import stat
from pathlib import Path

import pytest

from gateway.control.traffic.state import AliasChange, AliasState, Change, Remembered, RouteState, claim, load, save
from gateway.traffic.snapshot import Override, Snapshot

FULL = Remembered(
    snapshot=Snapshot(7, {"iris": Override("ab", {"a": 100.0}, "E", 25.0)}, {"stable": ""}),
    told=9,
    routes={
        "iris": RouteState(
            "ab", {"a": 100.0}, "E", 5.5, 2, {"phase": "running"}, {"ended": {"ok": 1}}, [Change(1.5, "ada", "set")]
        )
    },
    aliases={"stable": AliasState("iris", "")},
    alias_history=[AliasChange("stable", 2.5, "ada", "taken away", "old")],
)


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "traffic.json"
    save(file, FULL)
    assert load(file) == FULL
    assert [path.name for path in file.parent.iterdir()] == ["traffic.json"]


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "traffic.json"
    file.with_name("traffic.json.new").write_text("left over by one that died")
    file.with_name("traffic.json.new").chmod(0o666)
    before = os.umask(0)
    try:
        save(file, FULL)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_without_a_file_nothing_is_remembered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert load(tmp_path / "traffic.json") == Remembered()
    assert caplog.text == ""


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"told": "x"}', b"\xff\xfe", b'{"routes": {"a": 1}}', b"[" * 100000,
     b'{"routes": {"a": {"of": "x", "counted": ' + b"[" * 5000 + b"]" * 5000 + b"}}}"],
)  # fmt: skip
def test_a_damaged_file_is_set_aside(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "traffic.json"
    file.write_bytes(content)
    assert load(file) == Remembered()
    assert not file.exists()
    assert file.with_name("traffic.json.damaged").read_bytes() == content
    assert "set aside as traffic.json.damaged" in caplog.text


def test_a_folder_in_its_place_is_set_aside_too(tmp_path: Path) -> None:
    (tmp_path / "traffic.json").mkdir()
    assert load(tmp_path / "traffic.json") == Remembered()
    save(tmp_path / "traffic.json", FULL)
    assert load(tmp_path / "traffic.json") == FULL


def test_what_cannot_be_written_leaves_the_old_content(tmp_path: Path) -> None:
    file = tmp_path / "traffic.json"
    save(file, FULL)
    file.with_name("traffic.json.new").mkdir()
    with pytest.raises(OSError, match=r"traffic\.json\.new"):
        save(file, Remembered())
    assert load(file) == FULL


def test_histories_are_bounded() -> None:
    route, remembered = RouteState("ab"), Remembered()
    for number in range(300):
        route.note(Change(number, "", ""))
        remembered.note(AliasChange("a", number, "", ""))
    assert [change.at for change in route.history] == list(range(280, 300))
    assert len(remembered.alias_history) == 200


def test_what_a_newer_gateway_wrote_is_set_aside_and_not_called_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "traffic.json"
    file.write_bytes(b'{"version": 2, "routes": []}')
    assert load(file) == Remembered()
    assert file.with_name("traffic.json.newer").exists()
    assert "written by a newer gateway" in caplog.text


def test_only_one_has_the_file(tmp_path: Path) -> None:
    file = tmp_path / "state" / "traffic.json"
    first = claim(file, 0)
    with pytest.raises(BlockingIOError):
        claim(file, 0)
    os.close(first)
    os.close(claim(file, 0))
