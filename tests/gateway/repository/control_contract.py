"""What every `ModelControl` does, whether it is a real Triton or the double.

The control under test knows a model `add` that can be loaded, a model `bad` that cannot, because of "no weights", and
no model `gone`.
"""

from __future__ import annotations

import asyncio

import pytest

from gateway.repository.model_control import ControlError, ModelControl

SAMPLE = {"name": "X", "datatype": "FP32", "shape": [1], "data": [21.0]}


async def a_model_is_served_from_its_load_to_its_unload(control: ModelControl) -> None:
    """A model is ready after its load, and not before it and after its unload."""
    assert await control.live()
    assert not await control.ready("add")
    await control.load("add", 60)
    assert await control.ready("add")
    assert ("add", "1", "READY") in {(row.name, row.version, row.state) for row in await control.index()}
    assert await control.instances("add", "1") == 1
    assert await control.infer("add", [SAMPLE], 60) == 1
    with pytest.raises(ControlError, match="expected 1 inputs but got 0"):
        await control.infer("add", [], 60)
    await control.load("add", 60)  # again: nothing happens
    assert await control.ready("add")
    await control.unload("add", 60)
    assert not await control.ready("add")
    async with asyncio.timeout(10):  # its processes may still be ending
        while ("add", "UNAVAILABLE", "unloaded") not in {
            (row.name, row.state, row.reason) for row in await control.index()
        }:
            await asyncio.sleep(0.01)
    with pytest.raises(ControlError):
        await control.instances("add", "1")


async def a_failed_load_says_why(control: ModelControl) -> None:
    """The cause stands in the error, or in the index."""
    with pytest.raises(ControlError, match="no weights"):
        await control.load("bad", 60)
    assert not await control.ready("bad")
    rows = {row.name: row for row in await control.index()}
    assert rows["bad"].state == "UNAVAILABLE"
    assert "no weights" in rows["bad"].reason


async def a_model_that_is_not_there_cannot_be_loaded(control: ModelControl) -> None:
    """Triton does not say more than that it failed to poll."""
    with pytest.raises(ControlError, match="failed to load 'gone', failed to poll from model repository"):
        await control.load("gone", 60)
    assert not await control.ready("gone")


async def a_model_that_was_never_loaded_has_no_state(control: ModelControl) -> None:
    """It stands in the index by its name alone."""
    rows = {row.name: row for row in await control.index()}
    assert (rows["new"].version, rows["new"].state) == ("", "")


CONTRACT = (
    a_model_that_was_never_loaded_has_no_state,
    a_model_is_served_from_its_load_to_its_unload,
    a_failed_load_says_why,
    a_model_that_is_not_there_cannot_be_loaded,
)
