import os
import signal
import threading
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from converters.build.config import EnginesConfig
from converters.build.events import Event
from converters.build.parallel import Crew
from converters.build.results import ModelResult
from converters.build.schedule import Job, Room
from converters.build.worker import Request

CONFIG = EnginesConfig.model_validate(
    {"models": {"a": {"source": "a.onnx", "variants": {"fp32": {"precision": "fp32"}}}}}
)


def request_in(folder: Path) -> Request:
    return Request(CONFIG, folder, "", folder / "cache", folder / "log", 1)


def builds(request: Request, pipe: Connection) -> None:
    pipe.send(Event(request.model, "works", "onnx"))
    pipe.send(ModelResult(request.model, "a.onnx", seconds=1.0))


def dies_of_hunger_the_first_time(request: Request, pipe: Connection) -> None:
    """Killed as the kernel does it, once everybody is there."""
    first = request.base / request.model
    if request.model == "hungry" and not first.exists():
        first.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    (request.base / request.model).touch()
    builds(request, pipe)


def dies(request: Request, pipe: Connection) -> None:
    os.kill(os.getpid(), signal.SIGKILL if request.model == "hungry" else signal.SIGSEGV)


def waits(request: Request, pipe: Connection) -> None:
    pipe.send(Event(request.model, "works", str(os.getpid())))
    threading.Event().wait()


def test_all_models_are_built_and_their_events_told(tmp_path: Path) -> None:
    told = list[Event]()
    crew = Crew(Room(2, 1000), told.append, builds)
    results = crew.build([Job("a", 10), Job("b", 10), Job("c", 10)], lambda n: replace(request_in(tmp_path), model=n))
    assert {name: result.seconds for name, result in results.items()} == {"a": 1.0, "b": 1.0, "c": 1.0}
    assert sorted(event.model for event in told) == ["a", "b", "c"]


def test_one_that_was_killed_beside_others_is_tried_again_alone(tmp_path: Path) -> None:
    told = list[Event]()
    crew = Crew(Room(2, 1000), told.append, dies_of_hunger_the_first_time)
    results = crew.build([Job("hungry", 10), Job("b", 10)], lambda n: replace(request_in(tmp_path), model=n))
    assert results["hungry"].problem is None
    assert any("tried again alone" in event.detail for event in told)


@pytest.mark.parametrize(
    ("name", "kind", "what"), [("hungry", "OutOfResources", "had no memory left"), ("wild", "Crash", "SIGSEGV")]
)
def test_one_that_dies_is_a_failure_of_its_own(tmp_path: Path, name: str, kind: str, what: str) -> None:
    crew = Crew(Room(1, 1000), lambda _: None, dies)
    result = crew.build([Job(name, 10)], lambda n: replace(request_in(tmp_path), model=n))[name]
    assert result.problem is not None
    assert result.problem.kind == kind
    assert what in result.problem.what


def test_ctrl_c_ends_all_workers(tmp_path: Path) -> None:
    pids = list[int]()

    def tell(event: Event) -> None:
        pids.append(int(event.step))
        if len(pids) == 2:
            raise KeyboardInterrupt

    crew = Crew(Room(2, 1000), tell, waits)
    with pytest.raises(KeyboardInterrupt):
        crew.build([Job("a", 10), Job("b", 10)], lambda n: replace(request_in(tmp_path), model=n))
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
