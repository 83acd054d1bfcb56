"""Brings one Triton to the set of models that it should serve, and finds out why a model could not be loaded.

`ModelControl` is the little that is needed of a Triton: `gateway.triton.control` is the real one, `FakeControl` a
double with the same behaviour, and both pass the same contract tests.

Triton's answer to a load is not to be trusted alone: it may say 200 to a second try after a failure, and of a broken
configuration it says only "failed to poll". So each load is verified, and the cause is looked up where it stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

_POLL_SECONDS = 0.05


class ControlError(Exception):
    """Triton refused, did not answer in time, or cannot be reached; the message is Triton's own."""


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One version of a model in the repository index; `version` and `state` are empty if it was never loaded."""

    name: str
    version: str = ""
    state: str = ""
    reason: str = ""


class ModelControl(Protocol):
    """What reconciling needs of a Triton. Every method raises ControlError."""

    async def live(self) -> bool:
        """Whether the server answers. Never raises."""

    async def load(self, model: str, timeout: float) -> None:
        """Load a model and wait for it, at most `timeout` seconds; loaded anew if its files have changed."""

    async def unload(self, model: str, timeout: float) -> None:
        """Unload a model, the models that it is made of not included; its memory may be freed a little later."""

    async def ready(self, model: str) -> bool:
        """Whether a version of the model answers requests."""

    async def index(self) -> Sequence[IndexRow]:
        """The repository index."""

    async def instances(self, model: str, version: str) -> int:
        """How many instances a loaded version of a model has by its configuration."""


class FakeControl:
    """A Triton in memory.

    Attributes:
        failures: what Triton says about the models that cannot be loaded, by name.
        loaded: the models that are loaded now.
        calls: what was asked of it, in order, as `("load", "magika")`.
    """

    def __init__(self, models: Iterable[str], failures: Mapping[str, str] | None = None) -> None:
        self.models, self.failures = set(models), dict(failures or {})
        self.loaded: set[str] = set()
        self.calls: list[tuple[str, str]] = []
        self.most_at_once = 0
        self._reasons: dict[str, str] = {}
        self._running = 0

    async def live(self) -> bool:
        """See `ModelControl`."""
        return True

    async def load(self, model: str, timeout: float) -> None:  # noqa: ARG002 - it takes no time
        """See `ModelControl`."""
        self.calls.append(("load", model))
        self._running += 1
        self.most_at_once = max(self.most_at_once, self._running)
        await asyncio.sleep(0)
        self._running -= 1
        if model not in self.models:
            raise ControlError(f"failed to load '{model}', failed to poll from model repository")
        if model in self.failures:
            self._reasons[model] = self.failures[model]
            raise ControlError(
                f"load failed for model '{model}': version 1 is at UNAVAILABLE state: {self.failures[model]};\n"
            )
        self._reasons.pop(model, None)
        self.loaded.add(model)

    async def unload(self, model: str, timeout: float) -> None:  # noqa: ARG002 - it takes no time
        """See `ModelControl`."""
        self.calls.append(("unload", model))
        if model not in self.models:
            raise ControlError(f"failed to unload '{model}', unknown model")
        if model in self.loaded:
            self.loaded.discard(model)
            self._reasons[model] = "unloaded"

    async def ready(self, model: str) -> bool:
        """See `ModelControl`."""
        return model in self.loaded

    async def index(self) -> Sequence[IndexRow]:
        """See `ModelControl`."""
        rows = []
        for model in sorted(self.models):
            if model in self.loaded:
                rows.append(IndexRow(model, "1", "READY"))
            elif model in self._reasons:
                rows.append(IndexRow(model, "1", "UNAVAILABLE", self._reasons[model]))
            else:
                rows.append(IndexRow(model))
        return rows

    async def instances(self, model: str, version: str) -> int:
        """See `ModelControl`."""
        if model not in self.loaded:
            raise ControlError(f"Request for unknown model: '{model}' version {version} is not found")
        return 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the load of a model went: ready, or not and why; and how many seconds it took."""

    model: str
    ready: bool
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do to get from the index to the desired models."""

    load: tuple[str, ...]
    unload: tuple[str, ...]


def plan(index: Iterable[IndexRow], desired: Iterable[str]) -> Plan:
    """Decide what to load, in the order in which it is desired, and what to unload."""
    ready = {row.name for row in index if row.state == "READY"}
    wanted = tuple(dict.fromkeys(desired))
    return Plan(tuple(model for model in wanted if model not in ready), tuple(sorted(ready - set(wanted))))


def reason_of(message: str) -> str:
    """Triton's message without its wrapping: what is wrong, without where in Triton it was noticed."""
    reason = message.strip().rstrip(";").strip()
    for marker in (" state: ", "Internal: ", "Invalid argument: ", "TritonModelException: "):
        if marker in reason:
            reason = reason.partition(marker)[2]
    return reason.partition("\n\nAt:\n")[0].strip().rstrip(";")


class Reconciler:
    """Loads and unloads models of one Triton, several at once."""

    def __init__(
        self,
        control: ModelControl,
        load_timeout: float,
        *,
        explain: Callable[[str], str | None] = lambda _: None,
        concurrency: int = 4,
    ) -> None:
        """Prepare.

        Args:
            control: the Triton.
            load_timeout: how long one model may take, in seconds.
            explain: the cause of a model's failure from elsewhere, such as Triton's log, or None.
            concurrency: how many models are loaded at once; Triton's own default is 4.
        """
        self._control, self._load_timeout, self._explain = control, load_timeout, explain
        self._slots = asyncio.Semaphore(concurrency)

    async def reconcile(
        self,
        desired: Sequence[str],
        *,
        dropped: Collection[str] | None = None,
        on_start: Callable[[str], None] = lambda _: None,
        on_outcome: Callable[[Outcome], None] = lambda _: None,
    ) -> list[Outcome]:
        """Bring Triton to the desired models.

        What is dropped is unloaded first, so that its memory is free. A model that cannot be loaded does not hold up
        the others.

        Args:
            desired: the models to load, where they are not ready.
            dropped: the models to unload, where they are ready; default: all that are not desired.
            on_start: told when a load begins.
            on_outcome: told how it went.

        Returns:
            One outcome for each model that had to be loaded.

        Raises:
            ControlError: Triton does not answer at all.
        """
        todo = plan(await self._control.index(), desired)
        for model in todo.unload if dropped is None else set(todo.unload) & set(dropped):
            with contextlib.suppress(ControlError):  # what stays loaded must not hold up the rest
                await self.unload(model)

        async def one(model: str) -> Outcome:
            outcome = await self.load(model, on_start=on_start)
            on_outcome(outcome)
            return outcome

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(model)) for model in todo.load]
        return [task.result() for task in tasks]

    async def load(self, model: str, *, on_start: Callable[[str], None] = lambda _: None) -> Outcome:
        """Load one model and verify that it is ready. Never raises ControlError: a failure is an outcome."""
        async with self._slots:
            on_start(model)
            started = time.monotonic()
            reason = ""
            try:
                await self._control.load(model, self._load_timeout)
                if not await self._control.ready(model):
                    reason = "Triton accepted the load, but the model is not ready"
            except ControlError as error:
                reason = str(error)
            if reason:
                reason = await self._cause(model, reason)
            return Outcome(model, not reason, reason, time.monotonic() - started)

    async def unload(self, model: str) -> None:
        """Unload one model; it answers no more when this returns. Its memory may be freed a little later.

        Raises:
            ControlError: Triton refused, or took too long.
        """
        deadline = time.monotonic() + self._load_timeout
        await self._control.unload(model, self._load_timeout)
        while await self._control.ready(model):
            if time.monotonic() > deadline:
                raise ControlError(f"{model!r} was not unloaded within {self._load_timeout:g} s")
            await asyncio.sleep(_POLL_SECONDS)

    async def _cause(self, model: str, message: str) -> str:
        if "failed to poll" not in message and "not ready" not in message:
            return reason_of(message)
        try:
            rows = [row for row in await self._control.index() if row.name == model and row.reason]
        except ControlError:
            rows = []
        if rows and rows[0].reason != "unloaded":
            return reason_of(rows[0].reason)
        return reason_of(self._explain(model) or message)
