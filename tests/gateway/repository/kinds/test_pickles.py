"""Pickles are recognised and refused, and never opened."""

import pickle
from pathlib import Path
from typing import NoReturn

import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.description import Description, Hints
from gateway.repository.kinds.base import Target
from gateway.repository.kinds.pickles import PickleKind

KIND = PickleKind()


def explode() -> NoReturn:
    raise AssertionError("a pickle was opened")


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[()]]:
        return explode, ()


@pytest.mark.parametrize("name", ["m.pkl", "m.pickle", "M.JOBLIB", "m.sav", "m.dill", "m.cloudpickle", "m", "m.model"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_is_refused_whatever_it_is_called(tmp_path: Path, name: str, protocol: int) -> None:
    source = tmp_path / name
    source.write_bytes(pickle.dumps(Bomb(), protocol))
    assert KIND.recognise(source)
    assert KIND.companions(source) == ()
    with pytest.raises(ModelRefused, match=rf"^'{name}' is a pickle.*skops.io.dump\(model, '{source.stem}.skops'\)"):
        KIND.prepare(source, Target(tmp_path, tmp_path), Hints())


def test_a_compressed_one_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "m.joblib").write_bytes(b"\x78\x9c compressed")
    assert KIND.recognise(tmp_path / "m.joblib")


@pytest.mark.parametrize("content", [b"", b"\x80", b"\x80\x02 and more", b"text."])
def test_other_files_are_not_recognised(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.bin").write_bytes(content)
    assert not KIND.recognise(tmp_path / "m.bin")
    assert not KIND.recognise(tmp_path)
    assert not KIND.recognise(tmp_path / "nowhere")


def test_it_has_no_reference(tmp_path: Path) -> None:
    description = Description("pickle", "", None, (), (), False, "")
    assert KIND.reference(tmp_path, description, {}) == {}
