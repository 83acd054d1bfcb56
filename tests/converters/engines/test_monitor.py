from __future__ import annotations

from typing import Any

import pytest

from converters.engines.monitor import Tracker, monitor_of
from tests.converters.engines.tiny_models import Seen

trt: Any = pytest.importorskip("tensorrt_rtx", reason="there is no wheel of tensorrt-rtx for this platform")


def test_nested_phases_fill_their_part_of_the_outer_step() -> None:
    seen = Seen()
    tracker = Tracker(seen)
    tracker.start("build", None, 2)
    tracker.start("optimise", "build", 4)
    tracker.step("optimise", 0)
    tracker.step("optimise", 1)
    assert seen.steps == [0, 12, 25]
    tracker.finish("optimise")
    tracker.step("build", 0)
    tracker.finish("build")
    assert seen.steps == [0, 12, 25, 50, 100]


def test_a_phase_that_begins_again_does_not_take_the_bar_back() -> None:
    seen = Seen()
    tracker = Tracker(seen)
    tracker.start("build", None, 4)
    for _ in range(3):
        tracker.start("time", "build", 2)
        tracker.step("time", 0)
        tracker.finish("time")
    tracker.step("build", 0)
    tracker.step("unheard of", 7)
    assert seen.steps == [0, 12, 25]


def test_what_is_raised_is_kept_and_stops_the_builder() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    tracker = Tracker(Seen(at_step=interrupt))
    monitor = monitor_of(trt, tracker)
    monitor.phase_start("build", None, 2)
    assert isinstance(tracker.ended_by, KeyboardInterrupt)
    assert monitor.step_complete("build", 0) is False
    monitor.phase_finish("build")


def test_goes_on_otherwise() -> None:
    tracker = Tracker(Seen())
    monitor = monitor_of(trt, tracker)
    monitor.phase_start("build", None, 2)
    assert monitor.step_complete("build", 0) is True
    assert tracker.ended_by is None
