from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.repository.model_control import ControlError
from gateway.triton.runtime import RuntimeFolder, base_folder
from gateway.triton.showcase import Showcase

COMPLETE = """backend: "onnxruntime" max_batch_size: 0
input [{name: "X" data_type: TYPE_FP32 dims: [1]}] output [{name: "Y" data_type: TYPE_FP32 dims: [1]}]
"""


class Stage:
    """A showcase between a repository and a runtime folder."""

    def __init__(self, repository: Path, runtime: RuntimeFolder) -> None:
        self.repository, self.runtime = repository, runtime
        self.refused: dict[str, str] = {}
        self.showcase = Showcase(repository, runtime, self.refused.__setitem__)

    def make(self, model: str, config: str = COMPLETE) -> Path:
        (self.repository / model / "1").mkdir(parents=True, exist_ok=True)
        (self.repository / model / "config.pbtxt").write_text(config)
        return self.repository / model

    def seen(self) -> list[str]:
        return sorted(path.name for path in self.runtime.models.iterdir())


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    runtime = RuntimeFolder.create(base_folder({"XDG_RUNTIME_DIR": str(tmp_path)}))
    yield Stage(tmp_path / "repository", runtime)
    runtime.remove()


async def test_only_models_that_are_safe_are_shown(stage: Stage) -> None:
    stage.make("add")
    stage.make("has space")
    await stage.showcase.open({"add": "1", "has space": "1"})
    assert (stage.seen(), stage.showcase.models) == (["add"], {"add": "1"})
    assert "rename it" in stage.refused["has space"]


async def test_a_triton_completes_configurations_if_one_leaves_something_out(stage: Stage) -> None:
    stage.make("add")
    assert not await stage.showcase.open({"add": "1"})
    stage.make("mul", 'backend: "onnxruntime"')
    assert await stage.showcase.open({"add": "1", "mul": "1"})
    assert not await stage.showcase.open({})


async def test_a_change_that_comes_too_late_leaves_what_was_shown_before(stage: Stage) -> None:
    stage.make("add")
    await stage.showcase.open({"add": "1"})
    stage.make("add", 'backend: "onnxruntime"')
    await stage.showcase.show({"add": "2"})
    assert "start Triton again" in stage.refused["add"]
    assert stage.showcase.models == {"add": "1"}
    await stage.showcase.open({"add": "2"})  # a new Triton completes it
    assert stage.showcase.models == {"add": "2"}


async def test_a_candidate_is_seen_under_a_name_of_its_own_as_long_as_it_lasts(stage: Stage) -> None:
    folder = stage.make("add")
    async with stage.showcase.candidate("add", folder) as name:
        assert stage.seen() == [name]
        assert f'"{name}"' in (stage.runtime.models / name / "config.pbtxt").read_text()
    assert stage.seen() == []
    assert list(stage.runtime.candidates.iterdir()) == []


async def test_what_goes_wrong_with_a_candidate_speaks_of_its_model(stage: Stage) -> None:
    folder = stage.make("add")
    with pytest.raises(ControlError, match=r"^version 1 of add is broken$"):
        async with stage.showcase.candidate("add", folder) as name:
            raise ControlError(f"version 1 of {name} is broken")
    assert stage.seen() == []


async def test_a_candidate_that_is_not_safe_is_not_shown(stage: Stage) -> None:
    folder = stage.make("add", COMPLETE + 'default_model_filename: "a b"')
    with pytest.raises(ControlError, match="default_model_filename"):
        async with stage.showcase.candidate("add", folder):
            pytest.fail("it is shown")
