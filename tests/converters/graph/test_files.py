import errno
import hashlib
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from converters.errors import BadSource, ConversionError, OutOfResources
from converters.graph import shapes
from converters.graph.files import digest_of_model, digest_of_path, load, save
from tests.converters.framework_models import onnx_model


def large(monkeypatch: pytest.MonkeyPatch, *, add: float = 0) -> onnx.ModelProto:
    """A model that counts as one of more than 2 GB."""
    model = onnx_model(("batch", 3000))
    weight = np.arange(3000, dtype=np.float32) + add
    model.graph.initializer[0].CopyFrom(helper.make_tensor("one", 1, [3000], weight.tobytes(), raw=True))
    monkeypatch.setattr(shapes, "LARGEST", 1000)
    return model


def test_a_model_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "new" / "model.onnx"
    save(onnx_model(), path)
    assert load(path) == onnx_model()
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_weights_of_a_large_model_lie_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, model = tmp_path / "model.onnx", large(monkeypatch)
    before = model.SerializeToString(deterministic=True)
    save(model, path)
    data = f"model.onnx.{digest_of_model(model)[:16]}.data"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.onnx", data]
    assert model.SerializeToString(deterministic=True) == before
    assert load(path) == model
    save(large(monkeypatch, add=1), path)
    assert len(list(tmp_path.iterdir())) == 2
    assert not (tmp_path / data).exists()
    monkeypatch.undo()
    save(onnx_model(), path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "there is no file"),
        (b"", "no ONNX model"),
        (b"tree\nversion=v4\n", "no ONNX model, or is cut short"),
        (onnx_model().SerializeToString()[:-20], "cut short"),
    ],
    ids=["missing", "empty", "text", "truncated"],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadSource, match=told) as caught:
        load(path)
    assert caught.value.place.model == "model.onnx"


def test_missing_and_short_external_data_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(large(monkeypatch), tmp_path / "model.onnx")
    data = next(tmp_path.glob("*.data"))
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(BadSource, match="copy") as caught:
        load(tmp_path / "model.onnx")
    assert "one" in str(caught.value) or data.name in str(caught.value)
    data.unlink()
    with pytest.raises(BadSource, match=rf"cannot be read from '{data.name}'"):
        load(tmp_path / "model.onnx")


def test_a_weight_that_is_too_short_is_told(tmp_path: Path) -> None:
    model = onnx_model()
    model.graph.initializer[0].dims[0] = 5
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BadSource, match=r"weight 'one' of 'model\.onnx' has 4 bytes instead of 20"):
        load(tmp_path / "model.onnx")


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, OutOfResources), (errno.EIO, ConversionError)])
def test_a_full_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[ConversionError]
) -> None:
    path = tmp_path / "model.onnx"
    save(onnx_model(opset=17), path)

    def full(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(kind, match=r"model\.onnx"):
        save(onnx_model(), path)
    with pytest.raises(kind):
        save(large(monkeypatch), path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    assert load(path) == onnx_model(opset=17)


def test_a_large_model_is_whole_again_after_the_disk_was_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = large(monkeypatch)
    before = model.SerializeToString(deterministic=True)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutOfResources, match="full"):
        save(model, tmp_path / "model.onnx")
    assert model.SerializeToString(deterministic=True) == before


def test_digests_tell_models_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    assert digest_of_model(onnx_model()) == digest_of_model(onnx_model())
    assert digest_of_model(onnx_model()) != digest_of_model(onnx_model(opset=17))
    first, second = large(monkeypatch), large(monkeypatch, add=1)
    renamed = large(monkeypatch)
    renamed.graph.node[0].op_type = "Sub"
    assert len({digest_of_model(model) for model in (first, second, renamed)}) == 3


def test_digests_of_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"1")
    assert digest_of_path(tmp_path / "a" / "x") == hashlib.sha256(b"1").hexdigest()
    before = digest_of_path(tmp_path / "a")
    (tmp_path / "a" / "x").rename(tmp_path / "a" / "y")
    renamed = digest_of_path(tmp_path / "a")
    (tmp_path / "a" / "y").write_bytes(b"2")
    assert len({before, renamed, digest_of_path(tmp_path / "a")}) == 3
    with pytest.raises(BadSource, match="cannot be read"):
        digest_of_path(tmp_path / "none")
