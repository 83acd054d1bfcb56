"""A process that works on one model, so that its memory is given back and its death is no one else's.

What frameworks print goes into a log file; events and the result come back through a pipe.
"""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from converters.build.config import EnginesConfig


@dataclass(frozen=True, slots=True)
class Request:
    """What a worker is to do.

    Attributes:
        config: the whole configuration.
        base: the folder that its paths are relative to.
        model: the one model to work on.
        cache: the folder of step results.
        log: where what libraries print goes.
        threads: processor threads to use.
    """

    config: EnginesConfig
    base: Path
    model: str
    cache: Path
    log: Path
    threads: int


def work(request: Request, pipe: Connection) -> None:
    """Build one model; sends `Event`s and at last one `ModelResult`."""
    _into(request.log)
    os.environ["OMP_NUM_THREADS"] = os.environ["TF_NUM_INTRAOP_THREADS"] = str(request.threads)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    from converters.build.model_build import ModelBuild  # noqa: PLC0415 - reads the environment set above

    result = ModelBuild(request, pipe.send).run()
    pipe.send(replace(result, peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))
    pipe.close()


def _into(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
