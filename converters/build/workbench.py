"""What all steps of one model share: its section, the cache, and how a step is told and recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import converters
from converters.build.cache import Key, Made, StepCache
from converters.build.config import EnginesConfig, ModelSection
from converters.build.events import Event, Listener, StepProgress
from converters.build.results import Step
from converters.placed import placed

Work = Callable[[Path, StepProgress], None]


@dataclass(slots=True)
class Workbench:
    """One model's place of work.

    Attributes:
        name: of the model.
        config: the whole file.
        base: the folder that its paths are relative to.
        cache: of results.
        tell: told what happens.
        threads: processor threads that sessions may use.
        steps: what was done so far.
    """

    name: str
    config: EnginesConfig
    base: Path
    cache: StepCache
    tell: Listener
    threads: int
    steps: list[Step] = field(default_factory=list)

    @property
    def section(self) -> ModelSection:
        """What the file says of the model."""
        return self.config.models[self.name]

    def step(self, name: str, kind: str, made_from: Mapping[str, Any], work: Work) -> Made:
        """Do a step, or look up that it was done.

        Args:
            name: as people read it, such as "gate int8".
            kind: its folder in the cache, such as "verdict".
            made_from: all that the result depends on, beside this package's version.
            work: given an empty folder and the progress, writes the result into it.

        Raises:
            ConversionError: with the model and the step.
        """
        self.tell(Event(self.name, "works", name))
        key = Key(kind, {**made_from, "converters": converters.VERSION})
        with self.at(name):
            made = self.cache.made(key, lambda folder: work(folder, StepProgress(self.tell, self.name, name)))
        self.steps.append(Step(name, made.seconds, made.cached))
        return made

    @contextmanager
    def at(self, step: str) -> Iterator[None]:
        """What goes wrong inside is told with the model and the step."""
        with placed(self.name, step):
            yield

    def done(self, name: str, detail: str, *, cached: bool = False) -> None:
        """Tell that a step is done, and what came out."""
        self.tell(Event(self.name, "cached" if cached else "done", name, detail=detail))

    def path(self, written: str | Path) -> Path:
        """A path of the configuration, which is relative to the file."""
        return self.base / Path(written).expanduser()
