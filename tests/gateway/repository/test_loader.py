import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gateway.repository.loader import NOT_READY, Loader
from gateway.repository.model_control import ControlError, FakeControl
from gateway.repository.model_index import Rows, by_model

SAMPLE = [{"name": "X", "datatype": "FP32", "shape": [1], "data": [1.0]}]


def loader(control: FakeControl, said: str | None = None) -> Loader:
    return Loader(control, 60, lambda _: said, 4)


async def rehearse(control: FakeControl, sample: Sequence[Mapping[str, Any]] = (), said: str | None = None) -> None:
    async def look() -> Rows:
        return by_model(await control.index())

    await loader(control, said).rehearse("new", sample, look)


async def test_an_accepted_load_is_not_believed() -> None:
    class SecondTry(FakeControl):
        """Answers 200 to a load that failed before, as Triton may."""

        async def load(self, model: str, timeout: float, config: str = "") -> None:
            await asyncio.sleep(0)

    with pytest.raises(ControlError, match=NOT_READY):
        await loader(SecondTry(["bad"])).load("bad")


async def test_an_unload_is_over_when_nothing_answers_any_more() -> None:
    class Slow(FakeControl):
        """Goes on answering for a while after it took the order."""

        left = 2

        async def ready(self, model: str) -> bool:
            self.left -= 1
            return self.left > 0

    control = Slow(["add"])
    await loader(control).unload("add")
    assert control.left == 0


async def test_an_unload_that_does_not_end_is_an_error() -> None:
    class Clinging(FakeControl):
        async def ready(self, model: str) -> bool:
            return True

    with pytest.raises(ControlError, match=r"'add' was not unloaded within 0.01 s"):
        await Loader(Clinging(["add"]), 0.01, lambda _: None, 1).unload("add")


async def test_a_rehearsal_loads_asks_once_and_leaves_nothing() -> None:
    control = FakeControl(["new"])
    await rehearse(control, SAMPLE)
    assert control.calls == [("load", "new"), ("infer", "new"), ("unload", "new")]
    assert control.loaded == set()


async def test_a_rehearsal_without_a_sample_asks_nothing() -> None:
    control = FakeControl(["new"])
    await rehearse(control)
    assert ("infer", "new") not in control.calls


async def test_a_rehearsal_that_fails_says_why_and_leaves_nothing() -> None:
    control = FakeControl(["new"], {"new": "Internal: no weights"})
    with pytest.raises(ControlError, match=r"^no weights$"):
        await rehearse(control, SAMPLE)
    assert control.calls[-1] == ("unload", "new")


async def test_a_rehearsal_whose_inference_gives_nothing_fails() -> None:
    class Mute(FakeControl):
        async def infer(self, model: str, inputs: Sequence[Mapping[str, Any]], timeout: float) -> int:
            return 0

    with pytest.raises(ControlError, match="without any output"):
        await rehearse(Mute(["new"]), SAMPLE)


async def test_a_cause_that_triton_keeps_to_its_log_is_found_there() -> None:
    with pytest.raises(ControlError, match="no such field 'garbage'"):
        await rehearse(FakeControl([]), said="no such field 'garbage'")


async def test_without_a_log_triton_s_own_answer_must_do() -> None:
    with pytest.raises(ControlError, match="failed to poll"):
        await rehearse(FakeControl([]))
