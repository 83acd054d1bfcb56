import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from converters.errors import BadSource
from converters.graph.files import save
from converters.originals.recognise import KINDS, original
from converters.to_onnx.frameworks import quiet
from tests.converters.framework_models import lightgbm_booster, onnx_model, xgboost_booster
from tests.converters.torch_models import Pair


def archive(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as written:
        for name in names:
            written.writestr(name, "")
    return path


def test_files_are_recognised_by_name_and_content(tmp_path: Path) -> None:
    save(onnx_model(), tmp_path / "a.onnx")
    xgboost_booster().save_model(tmp_path / "a.ubj")
    xgboost_booster().save_model(tmp_path / "a.json")
    lightgbm_booster().save_model(tmp_path / "a.txt")
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    archive(tmp_path / "a.keras", "config.json", "metadata.json")
    archive(tmp_path / "a.skops", "schema.json")
    archive(tmp_path / "old.pt2", "serialized_exported_program.json")
    with quiet():
        torch.jit.save(torch.jit.script(Pair()), str(tmp_path / "a.pt"))
        torch.export.save(torch.export.export(Pair(), (torch.ones(2, 3),)), str(tmp_path / "a.pt2"))
    (tmp_path / "b.jit").write_bytes((tmp_path / "a.pt").read_bytes())
    (tmp_path / "b.pt").write_bytes((tmp_path / "a.pt2").read_bytes())
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"")
    kinds = {path.name: original(path).kind for path in tmp_path.iterdir()}
    assert kinds == {
        "a.onnx": "onnx", "a.ubj": "xgboost", "a.json": "xgboost", "a.txt": "lightgbm", "a.h5": "keras",
        "a.keras": "keras", "a.skops": "scikit-learn", "a.pt": "torchscript", "b.jit": "torchscript",
        "a.pt2": "exported", "b.pt": "exported", "old.pt2": "exported", "saved": "savedmodel",
    }  # fmt: skip
    assert {kind.original(tmp_path).kind for kind in KINDS} == set(kinds.values())


def test_the_highest_version_of_a_repositorys_model_is_taken(tmp_path: Path) -> None:
    for version in ("2", "10", "notes"):
        save(onnx_model(), tmp_path / "speech" / version / "model.onnx")
    (tmp_path / "speech" / "11").mkdir()
    (tmp_path / "speech" / "10" / "README.md").write_text("about")
    found = original(str(tmp_path / "speech"))
    assert (found.kind, found.name, found.version) == ("onnx", "speech", 10)
    assert original(tmp_path / "speech" / "2").version == 2
    assert original(tmp_path / "speech" / "2" / "model.onnx").version == 2


def test_a_function_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "zoo.py").write_text("def make(): ...")
    assert original(f"{tmp_path / 'zoo.py'}:make", depends=(tmp_path,)).kind == "factory"


def test_a_repository_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadSource, match=r"no numbered version folder.*put the model into .*/1"):
        original(tmp_path)
    plan = tmp_path / "1" / "model.plan"
    plan.parent.mkdir()
    plan.write_bytes(b"ftrt")
    with pytest.raises(BadSource, match=r"version 1 holds 'model\.plan'; .* none that can be converted"):
        original(tmp_path)
    for name in ("model.onnx", "model.keras"):
        plan.with_name(name).write_bytes(b"x")
    with pytest.raises(BadSource, match=r"of its models, 'model\.keras', 'model\.onnx'; give the path of the one"):
        original(tmp_path)


def test_an_engine_is_no_source(tmp_path: Path) -> None:
    for name in ("model.plan", "model.engine", "model.trt"):
        (tmp_path / name).write_bytes(b"ftrt")
        with pytest.raises(BadSource, match="is an engine, from which no other can be built"):
            original(tmp_path / name)


def test_a_pickle_is_refused_whatever_its_name(tmp_path: Path) -> None:
    for name in ("model.pkl", "model.joblib", "model.txt", "model"):
        (tmp_path / name).write_bytes(pickle.dumps([1]))
        with pytest.raises(BadSource, match=r"is a pickle, .*skops\.io\.dump"):
            original(tmp_path / name)


@pytest.mark.parametrize("name", [ending for kind in KINDS for ending in kind.endings if ending != ".savedmodel"])
def test_an_empty_file_is_not_what_its_name_says(tmp_path: Path, name: str) -> None:
    (tmp_path / f"model{name}").touch()
    with pytest.raises(BadSource, match="is not what its name says, or is cut short"):
        original(tmp_path / f"model{name}")


def test_a_truncated_archive_and_a_checkpoint_are_told(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(100)}, tmp_path / "model.pt")
    with pytest.raises(BadSource, match="is not what its name says"):
        original(tmp_path / "model.pt")
    (tmp_path / "cut.pt2").write_bytes((tmp_path / "model.pt").read_bytes()[:200])
    with pytest.raises(BadSource, match="cut short"):
        original(tmp_path / "cut.pt2")
    (tmp_path / "model.json").write_text('{"a": 1')
    with pytest.raises(BadSource, match="cut short"):
        original(tmp_path / "model.json")


def test_what_is_not_known_is_told_with_what_is(tmp_path: Path) -> None:
    with pytest.raises(BadSource, match=r"there is no '.*none\.onnx'; .*\.onnx, \.keras"):
        original(tmp_path / "none.onnx")
    (tmp_path / "model.tflite").write_bytes(b"x")
    with pytest.raises(BadSource, match=r"is of no known format; known are model\.savedmodel/, \.onnx"):
        original(tmp_path / "model.tflite")
    (tmp_path / "model.savedmodel").mkdir()
    with pytest.raises(BadSource, match="is not what its name says"):
        original(tmp_path / "model.savedmodel")
