import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.repository.reconcile import (
    ControlError,
    FakeControl,
    IndexRow,
    ModelControl,
    Outcome,
    Plan,
    Reconciler,
    plan,
    reason_of,
)

from .control_contract import CONTRACT


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)
async def test_the_fake_keeps_the_contract(promise: Callable[[ModelControl], Awaitable[None]]) -> None:
    await promise(FakeControl(["add", "bad", "new"], {"bad": "Internal: no weights"}))


def test_a_plan_loads_what_is_missing_in_the_desired_order_and_unloads_the_rest() -> None:
    index = [
        IndexRow("kept", "1", "READY"),
        IndexRow("old", "2", "READY"),
        IndexRow("broken", "1", "UNAVAILABLE", "it is broken"),
        IndexRow("never"),
    ]
    desired = ["never", "kept", "broken", "new", "never"]
    assert plan(index, desired) == Plan(load=("never", "broken", "new"), unload=("old",))


async def test_only_what_was_dropped_is_unloaded_where_somebody_says_what_that_is() -> None:
    control = FakeControl(["kept", "dropped", "theirs"])
    for model in ("kept", "dropped", "theirs"):
        await control.load(model, 1)
    await Reconciler(control, 1).reconcile(["kept"], dropped={"dropped", "never"})
    assert control.loaded == {"kept", "theirs"}


def test_a_plan_for_what_is_already_so_is_empty() -> None:
    assert plan([IndexRow("a", "1", "READY"), IndexRow("a", "2", "UNAVAILABLE")], ["a"]) == Plan((), ())


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            "load failed for model 'a': version 1 is at UNAVAILABLE state: Internal: ValueError: corrupt;\n",
            "ValueError: corrupt",
        ),
        ("Internal: ValueError: two\nlines\n\nAt:\n  /x/model.py(3): initialize\n", "ValueError: two\nlines"),
        ("Internal: TritonModelException: model.onnx is corrupt", "model.onnx is corrupt"),
        ("Invalid argument: unable to find backend library", "unable to find backend library"),
        (
            "failed to load 'a', failed to poll from model repository",
            "failed to load 'a', failed to poll from model repository",
        ),
    ],
)
def test_a_reason_is_what_is_wrong_without_triton_s_wrapping(message: str, reason: str) -> None:
    assert reason_of(message) == reason


async def test_a_failure_does_not_hold_up_the_others() -> None:
    control = FakeControl(["add", "bad", "mul"], {"bad": "Internal: no weights"})
    outcomes = {outcome.model: outcome for outcome in await Reconciler(control, 60).reconcile(["add", "bad", "mul"])}
    assert {name: outcome.ready for name, outcome in outcomes.items()} == {"add": True, "bad": False, "mul": True}
    assert outcomes["bad"].reason == "no weights"
    assert outcomes["add"].reason == ""


async def test_what_is_not_desired_is_unloaded_before_anything_is_loaded() -> None:
    control = FakeControl(["old", "new"])
    control.loaded = {"old"}
    await Reconciler(control, 60).reconcile(["new"])
    assert control.calls == [("unload", "old"), ("load", "new")]


async def test_a_model_that_cannot_be_unloaded_does_not_hold_up_the_others() -> None:
    class Clinging(FakeControl):
        async def unload(self, model: str, timeout: float) -> None:
            raise ControlError(f"failed to unload '{model}'")

    control = Clinging(["old", "new"])
    control.loaded = {"old"}
    assert [outcome.model for outcome in await Reconciler(control, 60).reconcile(["new"])] == ["new"]
    with pytest.raises(ControlError, match="failed to unload 'old'"):
        await Reconciler(control, 60).unload("old")


async def test_no_more_than_a_few_are_loaded_at_once() -> None:
    names = [f"m{n}" for n in range(10)]
    control = FakeControl(names)
    await Reconciler(control, 60, concurrency=3).reconcile(names)
    assert control.most_at_once == 3


async def test_each_model_is_told_when_it_starts_and_when_it_is_done() -> None:
    control = FakeControl(["add", "bad"], {"bad": "no weights"})
    told: list[str] = []
    await Reconciler(control, 60, concurrency=1).reconcile(
        ["add", "bad"], on_start=told.append, on_outcome=lambda o: told.append(f"{o.model} {o.ready}")
    )
    assert told == ["add", "add True", "bad", "bad False"]


async def test_an_accepted_load_is_not_believed() -> None:
    class SecondTry(FakeControl):
        """Answers 200 to a load that failed before, as Triton may."""

        async def load(self, model: str, timeout: float) -> None:
            await asyncio.sleep(0)

    control = SecondTry(["bad"])
    control._reasons["bad"] = "Internal: no weights"
    outcome = await Reconciler(control, 60).load("bad")
    assert (outcome.ready, outcome.reason) == (False, "no weights")


async def test_a_cause_that_triton_keeps_to_its_log_is_found_there() -> None:
    reconciler = Reconciler(FakeControl([]), 60, explain=lambda model: f"{model}: no such field 'garbage'")
    assert (await reconciler.load("broken")).reason == "broken: no such field 'garbage'"


async def test_without_a_log_triton_s_own_answer_must_do() -> None:
    assert "failed to poll" in (await Reconciler(FakeControl([]), 60).load("broken")).reason


async def test_an_outcome_says_how_long_it_took() -> None:
    outcome = await Reconciler(FakeControl(["add"]), 60).load("add")
    assert outcome == Outcome("add", True, "", outcome.seconds)
    assert 0 <= outcome.seconds < 5


async def test_a_triton_that_does_not_answer_is_an_error() -> None:
    class Silent(FakeControl):
        async def index(self) -> list[IndexRow]:
            raise ControlError("Triton does not answer")

    with pytest.raises(ControlError, match="does not answer"):
        await Reconciler(Silent([]), 60).reconcile(["add"])
