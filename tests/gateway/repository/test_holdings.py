import os
import shutil
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest

from gateway.config import RepositorySection
from gateway.core.errors import SetupError
from gateway.repository import record
from gateway.repository.catalog import entry
from gateway.repository.drops import INBOX
from gateway.repository.holdings import Holdings, fingerprint_of
from gateway.repository.progress import NewsKind
from gateway.repository.store import Store
from tests.gateway.repository.store_models import make_prepared

CONFIG = dedent("""\
    backend: "onnxruntime"
    max_batch_size: 8
    input { name: "image" data_type: TYPE_FP32 dims: [ 3, -1, -1 ] }
    output { name: "scores" data_type: TYPE_FP32 dims: [ 10 ] label_filename: "labels.txt" }
""")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def store(repository: Path) -> Store:
    return Store(repository)


@pytest.fixture
def holdings(repository: Path, store: Store) -> Holdings:
    return Holdings(store, RepositorySection(path=repository))


def by_hand(repository: Path, name: str = "digits", config: str | None = CONFIG) -> Path:
    folder = repository / name
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.onnx").write_text("weights")
    if config is not None:
        (folder / "config.pbtxt").write_text(config)
    return folder


def publish(store: Store, scratch: Path, content: str = "first", name: str = "m") -> None:
    prepared = make_prepared(scratch / "prepared" / content, name, content)
    store.publish(name, prepared, source=f"{name}.onnx")


def test_folders_by_hand_are_served_and_get_a_record(holdings: Holdings, repository: Path, store: Store) -> None:
    folder = by_hand(repository)
    assert holdings.open() == []
    assert holdings.served == {"digits": fingerprint_of(folder)}
    assert store.verify("digits") == []
    assert (repository / INBOX).is_dir()


def test_a_complete_configuration_is_what_the_catalog_shows(holdings: Holdings, repository: Path, store: Store) -> None:
    folder = by_hand(repository)
    holdings.open()
    shown = entry("digits", store.record("digits"), {})
    assert [(each.name, each.datatype, each.shape) for each in shown.inputs] == [("image", "FP32", (-1, 3, -1, -1))]
    assert shown.outputs[0].labels == "labels.txt"
    assert shown.description is not None
    assert (shown.description.backend, shown.description.framework) == ("onnxruntime", "onnx")

    (folder / "config.pbtxt").write_text(CONFIG.replace('"image"', '"picture"'))
    assert holdings.look(["digits"]) == []
    assert entry("digits", store.record("digits"), {}).inputs[0].name == "picture"


@pytest.mark.parametrize("config", [None, 'backend: "onnxruntime"', "max_batch_size: many"])
def test_a_model_that_no_configuration_describes_is_served_without_a_description(
    holdings: Holdings, repository: Path, store: Store, config: str | None
) -> None:
    by_hand(repository, config=config)
    holdings.open()
    assert "digits" in holdings.served
    assert entry("digits", store.record("digits"), {}).description is None


def test_what_is_no_model_is_passed_over(holdings: Holdings, repository: Path) -> None:
    (repository / "empty").mkdir()
    by_hand(repository, "m-1--candidate")
    (repository / "fraud.onnx").write_bytes(b"x")
    holdings.open()
    assert holdings.served == holdings.problems == {}


def test_a_folder_by_hand_that_changed_is_taken_as_it_is(holdings: Holdings, repository: Path, store: Store) -> None:
    folder = by_hand(repository)
    holdings.open()
    before = holdings.served["digits"]
    (folder / "1" / "model.onnx").write_text("other weights")
    [news] = holdings.look(["digits"])
    assert (news.kind, news.message) == (NewsKind.CHANGED, "1/model.onnx: was changed")
    assert holdings.served["digits"] != before
    assert store.verify("digits") == []


def test_what_changes_nothing_for_triton_changes_no_fingerprint(repository: Path) -> None:
    folder = by_hand(repository)
    before = fingerprint_of(folder)
    (folder / "README.md").write_text("about it")
    (folder / ".hidden").write_text("")
    (folder / "1" / "__pycache__").mkdir()
    (folder / "1" / "__pycache__" / "model.pyc").write_text("")
    assert fingerprint_of(folder) == before
    os.utime(folder / "config.pbtxt", (1, 1))
    assert fingerprint_of(folder) != before


def test_a_tampered_version_stays_as_it_was_loaded_and_says_so_once(
    holdings: Holdings, repository: Path, store: Store, tmp_path: Path
) -> None:
    publish(store, tmp_path)
    holdings.open()
    before = dict(holdings.served)
    (repository / "m" / "1" / "model.onnx").write_text("tampered")
    [news] = holdings.look(["m"])
    assert news.kind is NewsKind.TROUBLE
    assert holdings.served == before
    assert "1/model.onnx: was changed" in holdings.problems["m"]
    assert holdings.look(["m"]) == []

    publish(store, tmp_path, "second")
    assert holdings.look(["m"]) == []
    assert holdings.problems == {}
    assert holdings.served != before


def test_a_tampered_version_is_not_loaded_at_the_start(
    holdings: Holdings, repository: Path, store: Store, tmp_path: Path
) -> None:
    publish(store, tmp_path)
    (repository / "m" / "1" / "model.onnx").write_text("tampered")
    holdings.open()
    assert holdings.served == {}
    assert "--accept" in holdings.problems["m"]


def test_a_version_put_into_a_published_model_by_hand_is_refused(
    holdings: Holdings, repository: Path, store: Store, tmp_path: Path
) -> None:
    publish(store, tmp_path)
    shutil.copytree(repository / "m" / "1", repository / "m" / "2")
    holdings.open()
    assert "2: is not in the model's record" in holdings.problems["m"]
    store.accept("m")
    holdings.look(["m"])
    assert holdings.problems == {}


def test_versions_that_are_not_loaded_may_be_anything(
    holdings: Holdings, repository: Path, store: Store, tmp_path: Path
) -> None:
    for content in ("first", "second", "third"):
        publish(store, tmp_path, content)
    store.retire("m", 2)
    (repository / "m" / "1" / "model.onnx").write_text("tampered")
    (repository / "m" / record.RETIRED / "2" / "model.onnx").unlink()
    holdings.open()
    assert "m" in holdings.served


def test_a_removed_folder_is_gone_even_if_nobody_names_it(holdings: Holdings, repository: Path) -> None:
    shutil_target = by_hand(repository)
    holdings.open()
    shutil.rmtree(shutil_target)
    [news] = holdings.look([])
    assert (news.kind, news.model) == (NewsKind.REMOVED, "digits")
    assert holdings.served == {}


def test_a_folder_that_somebody_writes_is_busy(holdings: Holdings, repository: Path) -> None:
    folder = by_hand(repository)
    by_hand(repository, "other")
    hold = f"exec 3>>{folder}/1/model.onnx; echo open; read line"
    with subprocess.Popen(["sh", "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        holdings.open()
        holdings.look(["other"])
        assert holdings.busy == {"digits"}
        assert set(holdings.served) == {"other"}
        writer.communicate()
    holdings.look(["digits"])
    assert holdings.busy == frozenset()
    assert set(holdings.served) == {"digits", "other"}


def test_a_folder_that_cannot_be_read_is_told(holdings: Holdings, repository: Path) -> None:
    folder = by_hand(repository)
    (folder / "1" / "loop").symlink_to("loop")
    holdings.open()
    assert "cannot be read" in holdings.problems["digits"]


def test_a_name_that_triton_cannot_take_is_told(holdings: Holdings, repository: Path) -> None:
    by_hand(repository, "my digits")
    holdings.open()
    assert "letters, digits" in holdings.problems["my digits"]


def test_a_record_that_cannot_be_understood_is_a_problem_with_a_way_out(holdings: Holdings, repository: Path) -> None:
    folder = by_hand(repository)
    (folder / record.FILE_NAME).write_text("{")
    holdings.open()
    assert "delete it" in holdings.problems["digits"]
    (folder / record.FILE_NAME).unlink()
    holdings.look(["digits"])
    assert "digits" in holdings.served


def test_a_repository_that_cannot_be_written_is_served_without_records(holdings: Holdings, repository: Path) -> None:
    folder = by_hand(repository)
    (repository / INBOX.parts[0]).write_text("in the way")
    holdings.open()
    assert "digits" in holdings.served
    assert str(holdings.error).startswith("nothing can be published in the repository:")
    (repository / INBOX.parts[0]).unlink()
    holdings.look([])
    assert holdings.error is None
    assert (folder / record.FILE_NAME).exists()


def test_a_repository_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    with pytest.raises(SetupError, match="the model repository cannot be read"):
        Holdings(Store(missing), RepositorySection(path=missing)).open()
    assert not missing.exists()


def test_what_a_killed_process_left_is_put_right_and_told(holdings: Holdings, repository: Path) -> None:
    (repository / ".triton-gateway" / "staging" / "abandoned").mkdir(parents=True)
    [news] = holdings.open()
    assert (news.kind, "abandoned" in news.message) == (NewsKind.TROUBLE, True)


def test_an_engine_is_told_by_its_gpu_and_by_what_it_was_made_from(holdings: Holdings, repository: Path) -> None:
    folder = by_hand(repository, config=CONFIG.replace("onnxruntime", "tensorrt").replace("labels.txt", ""))
    (folder / "1" / "model.onnx").rename(folder / "1" / "model.plan")
    noted = '{"files": [{"precision": "int8", "source": {"name": "speech"}, "compute_capabilities": [89]}]}'
    (folder / "1" / "engine.json").write_text(noted)
    holdings.open()
    assert holdings.gpus == {"digits": "an NVIDIA GPU (sm_89)"}
    found = record.read(folder)
    assert found is not None
    about = found.versions[1].description
    assert about is not None
    assert about["origin"] == {"format": "Triton model folder", "made from": "speech", "precision": "int8"}
