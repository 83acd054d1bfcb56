from hypothesis import given
from hypothesis import strategies as st

from converters.build.schedule import Job, Room, expected_mib, startable

ROOM = Room(jobs=2, memory_mib=1000)


def names(*args: object) -> list[str]:
    return [job.name for job in startable(*args)]  # type: ignore[arg-type]


def test_as_many_are_started_as_cores_and_memory_allow() -> None:
    waiting = [Job("a", 600), Job("b", 600), Job("c", 300), Job("d", 50)]
    assert names(waiting, {}, ROOM) == ["a", "c"]
    assert names(waiting[1:2], {"a": waiting[0]}, ROOM) == []
    assert names(waiting[3:], {"a": waiting[0], "c": waiting[2]}, ROOM) == []


def test_a_job_that_is_larger_than_the_machine_gets_its_turn_alone() -> None:
    large = Job("large", 5000)
    assert names([large], {}, ROOM) == ["large"]
    assert names([large], {"a": Job("a", 1)}, ROOM) == []


def test_a_job_that_died_for_want_of_memory_is_run_alone() -> None:
    lone = Job("lone", 10, alone=True)
    assert names([lone, Job("b", 10)], {}, ROOM) == ["lone"]
    assert names([lone], {"b": Job("b", 10)}, ROOM) == []
    assert names([Job("b", 10)], {"lone": lone}, ROOM) == []


jobs = st.lists(st.builds(Job, st.uuids().map(str), st.integers(1, 2000), st.booleans()), max_size=8)


@given(jobs, st.integers(1, 4), st.integers(1, 3000))
def test_everything_gets_its_turn_and_nothing_is_overbooked(waiting: list[Job], jobs: int, memory: int) -> None:
    room, running, left = Room(jobs, memory), dict[str, Job](), list(waiting)
    while left or running:
        for job in startable(left, running, room):
            left.remove(job)
            running[job.name] = job
        assert running, "nothing runs, and something waits"
        assert len(running) <= jobs
        assert len(running) == 1 or sum(each.memory_mib for each in running.values()) <= memory
        assert len(running) == 1 or not any(each.alone for each in running.values())
        running.pop(next(iter(running)))


def test_a_framework_and_a_large_model_take_more() -> None:
    assert expected_mib("savedmodel", 0) > expected_mib("onnx", 0)
    assert expected_mib("onnx", 1 << 30) > expected_mib("onnx", 1 << 20) + 10_000
