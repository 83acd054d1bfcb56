from pathlib import Path

import pytest

from gateway.repository.kinds.base import Kind, Wrapper
from gateway.repository.recognise import KINDS, WRAPPERS

ALL: tuple[Kind | Wrapper, ...] = (*WRAPPERS, *KINDS)


def test_each_kind_has_a_name_of_its_own() -> None:
    names = [kind.name for kind in ALL]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_recognising_never_raises(kind: Kind | Wrapper, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "odd.onnx.zip.json").write_bytes(b"\xff\x00{")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (*tmp_path.iterdir(), tmp_path / "missing", Path("/proc/self/mem")):
        assert not kind.recognise(path)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_companions_never_raise(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "odd.onnx").write_bytes(b"\xff\x00{")
    for path in (tmp_path / "odd.onnx", tmp_path / "missing.onnx", tmp_path):
        assert kind.companions(path) == ()
