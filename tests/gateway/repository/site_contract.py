"""What every `Site` does, whether it is a real Triton or the double; each promise is given a `Rig`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from gateway.repository.model_control import ControlError
from gateway.repository.site import ModelState, Site, SiteModel

SAMPLE: tuple[dict[str, Any], ...] = ({"name": "X", "datatype": "FP32", "shape": [1], "data": [21.0]},)


class Rig(Protocol):
    """A site with a repository whose models can be changed."""

    site: Site

    def make(self, model: str, version: int = 1, *, cause: str = "") -> Path:
        """Add a version to a model of the repository; one with a `cause` cannot be loaded because of it."""

    def cure(self, model: str) -> None:
        """Take the causes away, without any change to the model's folder."""

    def elsewhere(self, *, cause: str = "") -> Path:
        """A complete model folder outside of the repository, whose `config.pbtxt` has another name."""


async def until(rig: Rig, model: str, fits: Callable[[SiteModel], bool]) -> SiteModel:
    async with asyncio.timeout(30):
        while not fits(rig.site.states()[model]):
            await asyncio.sleep(0.02)
    return rig.site.states()[model]


async def a_model_is_served_as_its_fingerprint_says(rig: Rig) -> None:
    rig.make("add")
    await rig.site.serve({"add": "1"})
    state = rig.site.states()["add"]
    assert (state.state, state.fingerprint, state.versions, state.reason) == (ModelState.READY, "1", (1,), "")
    assert state.seconds is not None


async def a_changed_fingerprint_brings_the_new_version_and_leaves_others_alone(rig: Rig) -> None:
    rig.make("add")
    rig.make("mul")
    await rig.site.serve({"add": "1", "mul": "1"})
    other = rig.site.states()["mul"]
    rig.make("add", 2)
    await rig.site.serve({"add": "2", "mul": "1"})
    state = await until(rig, "add", lambda state: state.versions == (2,))
    assert (state.state, state.fingerprint) == (ModelState.READY, "2")
    assert rig.site.states()["mul"] == other


async def a_new_version_that_fails_leaves_the_old_one_serving(rig: Rig) -> None:
    rig.make("add")
    await rig.site.serve({"add": "1"})
    rig.make("add", 2, cause="no weights")
    await rig.site.serve({"add": "2"})
    state = rig.site.states()["add"]
    assert (state.state, state.fingerprint, state.versions) == (ModelState.FAILED, "1", (1,))
    assert "no weights" in state.reason
    assert state.next_try is not None


async def a_model_that_failed_comes_by_itself_when_the_cause_is_gone(rig: Rig) -> None:
    rig.make("bad", cause="no weights")
    rig.make("add")
    await rig.site.serve({"bad": "1", "add": "1"})
    state = rig.site.states()["bad"]
    assert (state.state, state.fingerprint, state.versions) == (ModelState.FAILED, None, ())
    assert state.tries >= 1
    assert rig.site.states()["add"].state is ModelState.READY
    rig.cure("bad")
    state = await until(rig, "bad", lambda state: state.state is ModelState.READY)
    assert (state.fingerprint, state.tries, state.next_try) == ("1", 0, None)


async def a_model_that_is_not_desired_any_more_is_gone(rig: Rig) -> None:
    rig.make("add")
    rig.make("mul")
    await rig.site.serve({"add": "1", "mul": "1"})
    await rig.site.serve({"mul": "1"})
    await rig.site.wait_settled()
    assert list(rig.site.states()) == ["mul"]


async def a_rehearsal_changes_nothing(rig: Rig) -> None:
    rig.make("add")
    await rig.site.serve({"add": "1"})
    before = dict(rig.site.states())
    await rig.site.rehearse("add", rig.elsewhere(), SAMPLE)
    assert dict(rig.site.states()) == before


async def a_rehearsal_that_fails_says_why_and_changes_nothing(rig: Rig) -> None:
    rig.make("add")
    await rig.site.serve({"add": "1"})
    before = dict(rig.site.states())
    with pytest.raises(ControlError, match="no weights"):
        await rig.site.rehearse("add", rig.elsewhere(cause="no weights"), SAMPLE)
    assert dict(rig.site.states()) == before


CONTRACT = (
    a_model_is_served_as_its_fingerprint_says,
    a_changed_fingerprint_brings_the_new_version_and_leaves_others_alone,
    a_new_version_that_fails_leaves_the_old_one_serving,
    a_model_that_failed_comes_by_itself_when_the_cause_is_gone,
    a_model_that_is_not_desired_any_more_is_gone,
    a_rehearsal_changes_nothing,
    a_rehearsal_that_fails_says_why_and_changes_nothing,
)
