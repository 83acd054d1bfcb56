import os
from pathlib import Path

import pytest

from gateway.repository.checked import CheckedControl, concerning, why_not
from gateway.repository.model_control import ControlError, FakeControl
from gateway.repository.pins import Pins
from gateway.repository.store import Store
from tests.gateway.repository.store_models import make_prepared


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def published(repository: Path, tmp_path: Path) -> Path:
    """The file of a published version."""
    Store(repository).publish("fraud", make_prepared(tmp_path / "prepared", "fraud", "original"), source="fraud.onnx")
    [file] = [path for path in (repository / "fraud" / "1").iterdir() if path.is_file()]
    return file


def tamper(file: Path) -> None:
    """Change the content, but neither size nor time."""
    before = file.stat()
    file.write_bytes(file.read_bytes()[::-1])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


async def test_what_is_as_it_was_published_is_loaded(repository: Path, published: Path) -> None:
    control = FakeControl(["fraud"])
    await CheckedControl(control, repository).load("fraud", 1)
    assert control.loaded == {"fraud"}


async def test_a_changed_file_is_never_shown_to_triton_even_with_its_old_time(
    repository: Path, published: Path
) -> None:
    tamper(published)
    control = FakeControl(["fraud"])
    with pytest.raises(ControlError, match=r"its files are not those that were published: 1/.*: was changed"):
        await CheckedControl(control, repository).load("fraud", 1)
    assert control.calls == []


async def test_a_model_without_a_record_is_loaded_and_everything_else_is_passed_on(repository: Path) -> None:
    control = FakeControl(["candidate"])
    checked = CheckedControl(control, repository)
    await checked.load("candidate", 1)
    assert await checked.live()
    assert await checked.ready("candidate")
    assert [row.name for row in await checked.index()] == ["candidate"]
    assert await checked.instances("candidate", "1") == 1
    assert await checked.infer("candidate", [{"name": "x"}], 1) == await control.infer("candidate", [{"name": "x"}], 1)
    await checked.unload("candidate", 1)
    assert control.loaded == set()


def test_what_people_keep_by_hand_may_change(repository: Path) -> None:
    (repository / "digits" / "1").mkdir(parents=True)
    (repository / "digits" / "1" / "model.onnx").write_bytes(b"x")
    Store(repository).adopt("digits")
    (repository / "digits" / "1" / "model.onnx").write_bytes(b"another")
    assert why_not(repository / "digits") is None


def test_a_record_that_cannot_be_read_is_a_reason(repository: Path, published: Path) -> None:
    (published.parents[1] / ".triton-gateway.json").write_text("{")
    assert "is not a model's record" in str(why_not(repository / "fraud"))


def test_versions_that_are_not_served_do_not_matter() -> None:
    lines = ["1/model.onnx: was changed", ".retired/3/model.onnx: is missing", "2/a: was added", "3: is not in it"]
    assert concerning(2, lines) == lines[2:]


async def test_pinned_versions_are_loaded_and_checked_too(repository: Path, published: Path, tmp_path: Path) -> None:
    store = Store(repository)
    store.publish("fraud", make_prepared(tmp_path / "second", "fraud", "another"), source="fraud.onnx")
    control, pins = FakeControl(["fraud"]), Pins()
    control.versions["fraud"] = 2
    checked = CheckedControl(control, repository, pins)
    await checked.load("fraud", 1)
    assert [row.version for row in await control.index()] == ["2"]

    pins.use({"fraud": frozenset({1, 7})})
    await checked.load("fraud", 1)
    assert [row.version for row in await control.index()] == ["1", "2"]

    tamper(published)
    with pytest.raises(ControlError, match="its files are not those that were published: 1/"):
        await checked.load("fraud", 1)
    pins.use({})
    await checked.load("fraud", 1)
    assert [row.version for row in await control.index()] == ["2"]
