"""The reconciler with a Triton in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

import pytest

from gateway.repository.model_control import ControlError, FakeControl, IndexRow
from gateway.repository.reconcile import Reconciler
from gateway.repository.site import ModelState, SiteModel


class Triton(FakeControl):
    """Counts the looks at its index, and may be down."""

    looks = 0
    down = False

    async def index(self) -> Sequence[IndexRow]:
        self.looks += 1
        if self.down:
            raise ControlError("Triton does not answer")
        return await super().index()

    async def load(self, model: str, timeout: float, config: str = "") -> None:
        if self.down:
            raise ControlError("Triton does not answer")
        await super().load(model, timeout)

    def restart(self) -> None:
        """Come back without any model."""
        self.loaded, self._reasons = set(), {}


class Stage:
    """A reconciler with everything around it."""

    def __init__(self, control: Triton, strays: Callable[[Iterable[str]], Iterable[str]] = lambda _: ()) -> None:
        self.control = control
        self.states: dict[str, SiteModel] = {}
        self.told: list[tuple[str, ModelState]] = []
        self.settled = asyncio.Event()
        self.latest: dict[str, int] = {}
        self.reconciler = Reconciler(
            control, 60, self._note, on_settled=self.settled.set, latest=self.latest.get, strays=strays
        )

    def _note(self, model: str, state: SiteModel | None) -> None:
        if state is None:
            self.states.pop(model, None)
        else:
            self.states[model] = state
            self.told.append((model, state.state))

    async def serve(self, **models: str) -> None:
        self.settled.clear()
        self.reconciler.desire(models)
        async with asyncio.timeout(10):
            await self.settled.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.reconciler.run())
        yield
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)

    def is_in(self, model: str, state: ModelState) -> bool:
        return model in self.states and self.states[model].state is state


async def test_a_failure_does_not_hold_up_the_others() -> None:
    s = Stage(Triton(["add", "bad", "mul"], {"bad": "Internal: no weights"}))
    async with s.running():
        await s.serve(add="1", bad="1", mul="1")
        assert {name: state.state for name, state in s.states.items()} == {
            "add": ModelState.READY,
            "bad": ModelState.FAILED,
            "mul": ModelState.READY,
        }
        assert (s.states["add"].fingerprint, s.states["add"].versions) == ("1", (1,))
        bad = s.states["bad"]
        assert (bad.reason, bad.tries, bad.fingerprint) == ("no weights", 1, None)
        assert bad.next_try is not None


async def test_a_model_that_failed_is_tried_again_by_itself() -> None:
    s = Stage(Triton(["bad"], {"bad": "Internal: no memory"}))
    async with s.running():
        await s.serve(bad="1")
        del s.control.failures["bad"]
        await s.until(lambda: s.is_in("bad", ModelState.READY))
        assert s.states["bad"].tries == 0


async def test_a_change_is_tried_at_once_and_touches_no_other() -> None:
    s = Stage(Triton(["add", "bad"], {"bad": "Internal: no weights"}))
    async with s.running():
        await s.serve(add="1", bad="1")
        s.control.calls.clear()
        del s.control.failures["bad"]
        await s.serve(add="1", bad="2")
        assert s.control.calls == [("load", "bad")]
        assert s.states["bad"].fingerprint == "2"


async def test_a_new_version_that_fails_leaves_the_old_one() -> None:
    s = Stage(Triton(["add"]))
    async with s.running():
        await s.serve(add="1")
        s.control.versions["add"], s.control.failures["add"] = 2, "Internal: no weights"
        await s.serve(add="2")
        state = s.states["add"]
        assert (state.state, state.versions, state.fingerprint) == (ModelState.FAILED, (1,), "1")
        del s.control.failures["add"]
        await s.serve(add="3")
        assert (s.states["add"].state, s.states["add"].versions) == (ModelState.READY, (2,))


async def test_a_load_after_which_another_version_is_served_has_failed() -> None:
    s = Stage(Triton(["add"]))
    s.latest["add"] = 2
    async with s.running():
        await s.serve(add="1")
        assert s.states["add"].reason == "Triton serves version 1, and not version 2"


async def test_what_is_not_desired_any_more_is_unloaded_and_forgotten() -> None:
    s = Stage(Triton(["old", "bad", "theirs"], {"bad": "Internal: no weights"}))
    s.control.loaded = {"theirs"}
    async with s.running():
        await s.serve(old="1", bad="1")
        await s.serve()
        assert (s.states, s.control.loaded) == ({}, {"theirs"})


async def test_what_the_index_does_not_show_any_more_is_unloaded_all_the_same() -> None:
    class FolderGone(Triton):
        async def index(self) -> Sequence[IndexRow]:
            return [row for row in await super().index() if row.name != "add"]

    s = Stage(Triton(["add"]))
    async with s.running():
        await s.serve(add="1")
        s.control.__class__ = FolderGone
        await s.until(lambda: not s.is_in("add", ModelState.READY))
        await s.serve()
        await s.until(lambda: "add" not in s.states)
        assert s.control.loaded == set()


async def test_a_model_that_is_wanted_again_while_it_is_unloaded_is_loaded() -> None:
    s = Stage(Triton(["add"]))
    async with s.running():
        await s.serve(add="1")
        s.reconciler.desire({})
        await s.until(lambda: ("unload", "add") in s.control.calls)
        await s.serve(add="1")
        assert s.is_in("add", ModelState.READY)
        assert s.control.loaded == {"add"}


async def test_a_model_that_cannot_be_unloaded_holds_up_nothing() -> None:
    class Clinging(Triton):
        async def unload(self, model: str, timeout: float) -> None:
            raise ControlError(f"failed to unload '{model}'")

    s = Stage(Clinging(["old", "new"]))
    async with s.running():
        await s.serve(old="1")
        await s.serve(new="1")
        assert s.is_in("new", ModelState.READY)


async def test_strays_are_unloaded() -> None:
    s = Stage(Triton(["stray", "theirs"]), strays=lambda models: set(models) & {"stray"})
    s.control.loaded = {"stray", "theirs"}
    async with s.running():
        await s.serve()
        await s.until(lambda: s.control.loaded == {"theirs"})


async def test_a_triton_that_lost_its_models_is_filled_again() -> None:
    s = Stage(Triton(["add", "mul"]))
    async with s.running():
        await s.serve(add="1", mul="1")
        s.control.restart()
        await s.until(lambda: s.control.loaded == {"add", "mul"})
        await s.until(lambda: s.is_in("add", ModelState.READY))


async def test_a_triton_that_is_down_is_waited_for_and_filled() -> None:
    s = Stage(Triton(["add"]))
    s.control.down = True
    async with s.running():
        await s.serve(add="1")
        assert s.states["add"] == SiteModel(ModelState.WAITING, "Triton does not answer")
        s.control.down = False
        await s.until(lambda: s.is_in("add", ModelState.READY))


async def test_a_triton_that_goes_down_has_nothing_ready() -> None:
    s = Stage(Triton(["add"]))
    async with s.running():
        await s.serve(add="1")
        s.control.down = True
        await s.until(lambda: s.is_in("add", ModelState.WAITING))


async def test_what_others_unload_stays_so_until_the_model_changes() -> None:
    s = Stage(Triton(["add"]))
    async with s.running():
        await s.serve(add="1")
        await s.control.unload("add", 1)
        await s.until(lambda: s.is_in("add", ModelState.UNLOADED))
        await s.serve(add="1")
        assert s.is_in("add", ModelState.UNLOADED)
        await s.serve(add="2")
        assert s.is_in("add", ModelState.READY)


async def test_a_load_that_triton_accepts_without_doing_it_is_made_to_do_it() -> None:
    class SecondTry(Triton):
        """Answers 200 to a load that failed before, until it has unloaded the model."""

        async def load(self, model: str, timeout: float, config: str = "") -> None:
            if ("unload", model) in self.calls:
                await super().load(model, timeout)

    s = Stage(SecondTry(["add"]))
    async with s.running():
        await s.serve(add="1")
        assert "not ready" in s.states["add"].reason
        await s.until(lambda: s.is_in("add", ModelState.READY))


async def test_no_more_than_a_few_are_loaded_at_once() -> None:
    names = [f"m{n}" for n in range(20)]
    s = Stage(Triton(names))
    async with s.running():
        await s.serve(**dict.fromkeys(names, "1"))
        assert s.control.most_at_once == 4


async def test_a_thousand_models_cost_few_looks_and_one_change_costs_one_load() -> None:
    names = [f"m{n}" for n in range(1000)]
    s = Stage(Triton(names))
    async with s.running():
        await s.serve(**dict.fromkeys(names, "1"))
        assert s.control.looks < 200
        s.control.calls.clear()
        looks = s.control.looks
        await s.serve(**dict.fromkeys(names, "1") | {"m500": "2"})
        assert s.control.calls == [("load", "m500")]
        assert s.control.looks - looks < 5


async def test_a_rehearsal_runs_beside_what_is_served_and_is_not_told() -> None:
    s = Stage(Triton(["add", "candidate"]))
    async with s.running():
        await s.serve(add="1")
        await s.reconciler.rehearse("candidate", [{"name": "X"}])
        assert s.control.calls[-3:] == [("load", "candidate"), ("infer", "candidate"), ("unload", "candidate")]
        assert list(s.states) == ["add"]


async def test_a_model_is_healed_by_an_unload_and_a_load() -> None:
    s = Stage(Triton(["add"]))
    async with s.running():
        await s.serve(add="1")
        s.control.calls.clear()
        s.reconciler.heal("add", "its process died")
        assert s.states["add"].state is ModelState.HEALING
        assert s.reconciler.is_busy("add")
        await s.until(lambda: s.is_in("add", ModelState.READY))
        assert s.control.calls == [("unload", "add"), ("load", "add")]
