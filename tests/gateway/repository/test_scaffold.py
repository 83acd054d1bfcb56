from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.config_text import is_complete
from gateway.repository.description import Hints, Tensor
from gateway.repository.kinds.base import Target
from gateway.repository.kinds.triton import TritonKind
from gateway.repository.sample_file import read_sample
from gateway.repository.scaffold import scaffold


def test_a_complete_model_folder_is_written(tmp_path: Path) -> None:
    files = scaffold(tmp_path, "pictures")
    places = ["1/model.py", "README.md", "config.pbtxt", "labels.txt", "sample.npz"]
    assert files == [tmp_path / "pictures" / place for place in places]
    assert all(file.is_file() for file in files)
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]
    config = (tmp_path / "pictures" / "config.pbtxt").read_text()
    assert 'name: "pictures"' in config
    assert is_complete(config)
    assert not any("{{" in file.read_text() for file in files if file.suffix in (".pbtxt", ".md"))


def test_others_may_read_it(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    scaffold(tmp_path, "pictures")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("pictures", "plain")]
    assert modes[0] == modes[1]


def test_the_model_is_one_that_the_gateway_takes(tmp_path: Path) -> None:
    scaffold(tmp_path, "pictures")
    target = Target(tmp_path / "target", tmp_path / "target" / "1")
    target.version.mkdir(parents=True)
    assert TritonKind().recognise(tmp_path / "pictures")
    description = TritonKind().prepare(tmp_path / "pictures", target, Hints())
    assert (description.backend, description.batches) == ("python", True)
    assert description.inputs == (Tensor("IMAGE", "BYTES", (-1, 1)),)
    assert description.outputs == (Tensor("LABELS", "BYTES", (-1, 5)), Tensor("SCORES", "FP32", (-1, 5)))


def test_the_sample_is_an_image(tmp_path: Path) -> None:
    scaffold(tmp_path, "pictures")
    sample = tmp_path / "pictures" / "sample.npz"
    with np.load(sample, allow_pickle=False) as arrays:
        assert arrays["IMAGE"].shape == (1, 1)
    image = read_sample(sample, (Tensor("IMAGE", "BYTES", (-1, 1)),))["IMAGE"][0, 0]
    assert image.startswith(b"\x89PNG")
    assert image.endswith(b"IEND\xaeB`\x82")


@pytest.mark.parametrize("name", ["", "two words", "../out", ".hidden", "a$(touch x)"])
def test_names_that_triton_cannot_take_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelRefused, match="can't be called"):
        scaffold(tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_what_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(ModelRefused, match="there is already something at"):
        scaffold(tmp_path, "pictures")
    assert not list((tmp_path / "pictures").iterdir())
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(ModelRefused, match="there is already something at"):
        scaffold(tmp_path, "dangling")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="No such file or directory; make the folder"):
        scaffold(tmp_path / "absent", "pictures")
