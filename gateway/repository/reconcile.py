"""Keeps one Triton at the models that it should serve, always, with one look at its repository index for all of them.

Each load is verified against the index. What failed is tried again later and later, and holds up nothing else. What
others load and unload is shown, and left as it is until the model changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gateway.repository.loader import Loader
from gateway.repository.model_control import ControlError, IndexRow, ModelControl
from gateway.repository.model_index import Rows, by_model, ready_versions
from gateway.repository.site import ModelState, SiteModel
from gateway.repository.wanted import Attempt, Wanted

Note = Callable[[str, SiteModel | None], None]
"""Told of each change of a model's state; None says that it is not wanted any more, and gone."""

_LOOK_SECONDS = 1.0  # between two looks at the index, where nothing happens
_REST = 10  # times as long as the last look took: the least time to the next one, so that many loads share one


class Reconciler:
    """Loads and unloads models of one Triton, several at once, for as long as `run` runs."""

    def __init__(  # noqa: PLR0913 - by name, and each a thing of its own
        self,
        control: ModelControl,
        load_timeout: float,
        note: Note,
        *,
        on_settled: Callable[[], None] = lambda: None,
        latest: Callable[[str], int | None] = lambda _: None,
        explain: Callable[[str], str | None] = lambda _: None,
        alive: Callable[[str], bool] = lambda _: True,
        strays: Callable[[Iterable[str]], Iterable[str]] = lambda _: (),
        silent_looks: int | None = 2,
        concurrency: int = 4,
    ) -> None:
        """Prepare.

        Args:
            control: the Triton.
            load_timeout: how long one model may take, in seconds.
            note: told of each change.
            on_settled: told when each change of what is desired was tried.
            latest: the version of a model that is served once it is loaded; None where nobody knows.
            explain: the cause of a model's failure from elsewhere, such as Triton's log, or None.
            alive: whether a model that was healed really is.
            strays: of ready models that are not desired, those to unload.
            silent_looks: looks without an answer, after which nothing that was loaded is taken for granted any more;
                None where the death of Triton is seen elsewhere.
            concurrency: how many models are loaded at once; Triton's own default is 4.
        """
        self._control, self._note, self._on_settled = control, note, on_settled
        self._latest, self._alive, self._strays = latest, alive, strays
        self._loader = Loader(control, load_timeout, explain, concurrency)
        self._entries: dict[str, Wanted] = {}
        self._tried: list[tuple[str, Wanted, Attempt]] = []
        self._askers: list[asyncio.Future[Rows]] = []
        self._wake = asyncio.Event()
        self._unsettled = True
        self._silent, self._silent_looks = 0, silent_looks

    def desire(self, models: Mapping[str, str]) -> None:
        """Say which models are to be served from now on, each with its fingerprint."""
        for model, fingerprint in models.items():
            if model not in self._entries:
                self._entries[model] = Wanted(fingerprint)
                self._note(model, self._entries[model].state)
            elif self._entries[model].fingerprint != fingerprint:
                self._entries[model].want(fingerprint)
        for model, entry in self._entries.items():
            if model not in models and entry.fingerprint is not None:
                entry.want(None)
        self._unsettled = True
        self._wake.set()

    def is_busy(self, model: str) -> bool:
        """Whether it is being loaded, unloaded or healed now, so that its processes end by intention."""
        entry = self._entries.get(model)
        return entry is not None and (entry.busy or entry.healing is not None)

    def is_desired(self, model: str) -> bool:
        """Whether it is to be served, and nobody else has unloaded it."""
        entry = self._entries.get(model)
        return entry is not None and entry.fingerprint is not None and not entry.held

    def heal(self, model: str, reason: str, on_unloaded: Callable[[], None] = lambda: None) -> None:
        """Give a model fresh backend processes, and try again, later and later, until it has them.

        Args:
            model: it is desired, and not busy.
            reason: what happened to the old ones.
            on_unloaded: called when they are gone.
        """
        entry = self._entries[model]
        self._set(model, entry, entry.broke(reason))
        self._tasks.create_task(self._clear(model, entry, on_unloaded))

    async def look(self) -> Rows:
        """An index that is newer than this call. One answer of Triton's serves all who ask meanwhile.

        Raises:
            ControlError: Triton does not give it.
        """
        asked: asyncio.Future[Rows] = asyncio.get_running_loop().create_future()
        self._askers.append(asked)
        self._wake.set()
        return await asked

    async def rehearse(self, candidate: str, sample: Sequence[Mapping[str, Any]]) -> None:
        """Load a model that is not desired, ask it once, and unload it again; see `Loader.rehearse`."""
        await self._loader.rehearse(candidate, sample, self.look)

    async def run(self) -> None:
        """Keep Triton at the desired models, until cancelled; one that does not answer is waited for."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                while True:
                    self._wake.clear()
                    began = time.monotonic()
                    await self._step()
                    await self._rest(time.monotonic() - began)
        finally:
            for asked in self._askers:
                asked.cancel()

    async def _rest(self, took: float) -> None:
        """Wait until there is something to do, and a moment longer after a look that took long."""
        await asyncio.sleep(min(_LOOK_SECONDS, _REST * took))
        soonest = time.monotonic() + _LOOK_SECONDS
        if not self._silent:
            dues = (entry.due for entry in self._entries.values() if not entry.busy and entry.is_behind)
            soonest = min(soonest, min(dues, default=soonest))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(soonest - time.monotonic()):
                await self._wake.wait()

    async def _step(self) -> None:
        tried, askers = self._tried, self._askers
        self._tried, self._askers = [], []
        try:
            rows = by_model(await self._control.index())
        except ControlError as error:
            self._tried = tried + self._tried
            self._hear_nothing(str(error), askers)
        else:
            self._silent = 0
            for asked in askers:
                if not asked.done():
                    asked.set_result(rows)
            for model, entry, attempt in tried:
                self._judge(model, entry, attempt, rows.get(model, ()))
            self._compare(rows)
            self._begin(rows)
        if self._unsettled and not any(entry.untried for entry in self._entries.values()):
            self._unsettled = False
            self._on_settled()

    def _hear_nothing(self, reason: str, askers: Iterable[asyncio.Future[Rows]]) -> None:
        """Triton does not answer; after a while nothing that it had loaded is taken for granted any more."""
        for asked in askers:
            if not asked.done():
                asked.set_exception(ControlError(reason))
        self._silent += 1
        for model, entry in self._entries.items():
            if entry.untried or self._silent == self._silent_looks:
                self._set(model, entry, entry.forget(reason))
            entry.untried = False

    def _compare(self, rows: Rows) -> None:
        """Note models that are in another state than they were left in."""
        for model, entry in self._entries.items():
            if entry.is_idle:
                self._set(model, entry, entry.compare(rows.get(model, ())))

    def _begin(self, rows: Rows) -> None:
        """Begin with everything that is due."""
        ready = {model for model, of_model in rows.items() if ready_versions(of_model)}
        for model in self._strays(ready - self._entries.keys()):
            self._entries[model] = Wanted(None)
        now = time.monotonic()
        for model, entry in list(self._entries.items()):
            if entry.busy or entry.due > now:
                continue
            if entry.fingerprint is None:
                self._drop(model, entry, model in ready or entry.loaded)
            elif entry.is_behind:
                entry.busy = True
                self._tasks.create_task(self._load(model, entry))
            else:
                self._set(model, entry, entry.rest())

    def _drop(self, model: str, entry: Wanted, is_loaded: bool) -> None:
        """Have it unloaded first, also if the index does not show it any more, because its folder is gone."""
        if is_loaded:
            entry.busy = True
            self._tasks.create_task(self._take_away(model, entry))
        else:
            del self._entries[model]
            self._note(model, None)

    async def _take_away(self, model: str, entry: Wanted) -> None:
        try:
            await self._loader.unload(model)
        except ControlError:  # what stays loaded must not hold up the rest
            entry.due = time.monotonic() + entry.loads.delay(time.monotonic())
        entry.state, entry.loaded = SiteModel(ModelState.WAITING), False
        entry.busy, entry.untried = False, entry.fingerprint is not None
        self._wake.set()

    async def _clear(self, model: str, entry: Wanted, on_unloaded: Callable[[], None]) -> None:
        """Unload what is broken at once, so that clients hear "not ready" rather than a failed inference."""
        with contextlib.suppress(ControlError):  # the load that follows tells the outcome
            await self._loader.unload(model)
        on_unloaded()
        entry.busy = False
        self._wake.set()

    async def _load(self, model: str, entry: Wanted) -> None:
        async with self._loader.slots:
            started, fingerprint, reason = time.monotonic(), entry.fingerprint, ""
            if fingerprint is None:  # it was dropped while it waited
                entry.busy = False
                self._wake.set()
                return
            self._set(model, entry, entry.begin())
            expected = self._latest(model)
            try:
                if entry.clear:
                    await self._loader.unload(model)
                await self._loader.load(model)
            except ControlError as error:
                reason = str(error)
        self._tried.append((model, entry, Attempt(fingerprint, expected, reason, time.monotonic() - started)))
        self._wake.set()

    def _judge(self, model: str, entry: Wanted, attempt: Attempt, rows: Sequence[IndexRow]) -> None:
        """See what became of a load."""
        entry.came_back(attempt, rows)
        reason, versions = attempt.judge(rows), ready_versions(rows)
        if reason:
            reason = self._loader.cause(model, reason, rows)
        elif entry.healing is not None and not self._alive(model):
            reason = "its backend process died again"
        if not reason:
            self._set(model, entry, entry.succeeded(attempt, versions))
        elif entry.healing is not None and entry.fingerprint is not None:
            self.heal(model, reason)
        else:
            self._set(model, entry, entry.failed(attempt, reason, versions))

    def _set(self, model: str, entry: Wanted, state: SiteModel | None) -> None:
        if state is not None:
            entry.state = state
            self._note(model, state)
