from pathlib import Path

import pytest

from converters.build.events import StepProgress
from converters.errors import BadData, OutOfResources, Place
from tests.converters.build.building import Told, configuration, workbench

VARIANTS = {"fp32": {"precision": "fp32"}}


def test_a_step_is_recorded_and_looked_up_the_next_time(tmp_path: Path) -> None:
    bench = workbench(tmp_path, configuration(VARIANTS))

    def work(folder: Path, progress: StepProgress) -> None:
        progress.stage("writing", 1)
        (folder / "a").write_text("1")

    assert (bench.step("one", "kind", {"a": 1}, work).folder / "a").read_text() == "1"
    assert bench.step("one", "kind", {"a": 1}, work).cached
    assert not bench.step("one", "kind", {"a": 2}, work).cached
    assert [(step.name, step.cached) for step in bench.steps] == [("one", False), ("one", True), ("one", False)]


def test_what_goes_wrong_is_told_with_model_and_step(tmp_path: Path) -> None:
    bench = workbench(tmp_path, configuration(VARIANTS))

    def wrong(folder: Path, progress: StepProgress) -> None:
        raise BadData("it is empty", hint="fill it")

    def hungry(folder: Path, progress: StepProgress) -> None:
        raise MemoryError

    with pytest.raises(BadData) as caught:
        bench.step("int8", "typed", {}, wrong)
    assert caught.value.place == Place("small", "int8", "")
    with pytest.raises(OutOfResources, match="small, int8: the machine has no memory left"):
        bench.step("int8", "typed", {}, hungry)


def test_what_is_done_is_told(tmp_path: Path) -> None:
    told = Told()
    workbench(tmp_path, configuration(VARIANTS), told).done("int8", "0.3 MB", cached=True)
    assert told.states("int8") == ["cached"]
