import multiprocessing
import os
from pathlib import Path

from converters.build.events import Event
from converters.build.results import ModelResult
from converters.build.worker import Request, work
from tests.converters.build.building import configuration, write_inputs

FP32 = {"fp32": {"precision": "fp32"}}


def messages(folder: Path) -> list[object]:
    """All that a worker process sends until it ends."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    request = Request(configuration(FP32), folder, "small", folder / "out/cache", folder / "out/logs/small.log", 1)
    process = context.Process(target=work, args=(request, theirs))
    process.start()
    theirs.close()
    told = list[object]()
    try:
        while True:
            told.append(ours.recv())
    except EOFError:
        process.join()
    ours.close()
    assert process.exitcode == os.EX_OK
    return told


def test_a_worker_sends_events_and_at_last_one_result(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    *events, result = messages(tmp_path)
    assert events
    assert all(isinstance(event, Event) for event in events)
    assert isinstance(result, ModelResult)
    assert result.passed
    assert result.peak_mib > 50


def test_what_goes_wrong_is_a_part_of_the_result(tmp_path: Path) -> None:
    *_, failed, result = messages(tmp_path)
    assert isinstance(failed, Event)
    assert isinstance(result, ModelResult)
    assert failed.state == "failed"
    assert result.problem is not None
    assert result.problem.hint
