"""What Triton sees of the repository: only models that are safe to show, and candidates while they are tried out."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.core.errors import GatewayError
from gateway.repository import rehearsal
from gateway.repository.model_control import ControlError
from gateway.triton import models as model_folders
from gateway.triton.runtime import RuntimeFolder

_TOO_LATE = (
    "its config.pbtxt leaves something out, and Triton was started for complete ones only, which is faster: "
    "give max_batch_size, and name, data_type and dims of all inputs and outputs, or start Triton again"
)


class Showcase:
    """The models in one runtime folder.

    Attributes:
        models: what Triton may load now, with the fingerprints that they were shown with.
    """

    def __init__(self, repository: Path, runtime: RuntimeFolder, on_refused: Callable[[str, str], None]) -> None:
        """Prepare.

        Args:
            repository: the model repository.
            runtime: the folder that Triton sees.
            on_refused: told which model is not shown, and why.
        """
        self._repository, self._runtime, self._on_refused = repository, runtime, on_refused
        self._auto_complete = True
        self.models: dict[str, str] = {}

    async def open(self, models: Mapping[str, str]) -> bool:
        """Show models to a Triton that is about to start; whether it must complete configurations."""
        self._auto_complete, self.models = True, {}
        await self.show(models)
        shown = tuple(self.models)
        complete = await asyncio.to_thread(
            lambda: [model_folders.is_complete(self._repository, model) for model in shown]
        )
        self._auto_complete = not all(complete)  # what comes later to an empty repository is complete
        return self._auto_complete

    async def show(self, models: Mapping[str, str]) -> None:
        """Show models that are new or have changed, and say why some are not shown.

        What is served of such a one already is served on, as it was when it was loaded.
        """
        reasons = await asyncio.to_thread(lambda: {model: self._problem(self._repository, model) for model in models})
        for model, reason in reasons.items():
            if reason:
                self._on_refused(model, reason)
            else:
                self._runtime.expose(model, self._repository / model)
                self.models[model] = models[model]

    def withdraw(self, models: Iterable[str]) -> None:
        """Have models unloaded; they stay in sight until they are hidden."""
        for model in models:
            self.models.pop(model, None)

    @asynccontextmanager
    async def candidate(self, model: str, folder: Path) -> AsyncIterator[str]:
        """Show a model folder under a name of its own, for as long as this lasts.

        Raises:
            ControlError: it may not be shown, or what was done with it failed; the message speaks of `model`.
        """
        name = rehearsal.candidate_name(model)
        candidates = self._runtime.candidates
        try:
            await asyncio.to_thread(rehearsal.stage, folder, candidates, name, rehearsal.take_by_link)
            if problem := self._problem(candidates, name):
                raise ControlError(problem)
            self._runtime.expose(name, candidates / name)
            yield name
        except (ControlError, GatewayError, OSError) as error:
            raise ControlError(str(error).replace(name, model)) from None
        finally:
            self._runtime.hide(name)
            await asyncio.to_thread(shutil.rmtree, candidates / name, ignore_errors=True)

    def _problem(self, repository: Path, model: str) -> str | None:
        unsafe = model_folders.why_unsafe(repository, model)
        if unsafe or self._auto_complete or model_folders.can_be_loaded_as_it_is(repository, model):
            return unsafe
        return _TOO_LATE
