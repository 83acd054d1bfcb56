import pytest

from benchmarks.load import LoadError
from benchmarks.shadow import compare, config, read, told
from gateway.config import Config
from gateway.traffic.mirrors import Mirrors
from gateway.traffic.snapshot import Snapshot


def log(*rows: tuple[float, int, int]) -> str:
    return "".join(f"{round(start * 1e6)}\t{status}\t{duration}\n" for start, status, duration in rows)


def test_the_beginning_of_a_block_is_left_out_but_for_its_errors() -> None:
    block = read(log((10.0, 200, 1), (10.5, 500, 2), (10.99, 200, 3), (11.0, 200, 4), (11.5, 200, 5)), 1.0, 0.001)
    assert block.latencies.tolist() == [4, 5]
    assert (block.errors, block.cpu_us) == (1, 200.0)


@pytest.mark.parametrize("rows", [[], [(1.0, 200, 1)]])
def test_a_block_without_answers_is_none(rows: list[tuple[float, int, int]]) -> None:
    with pytest.raises(LoadError):
        read(log(*rows), 1.0)


def test_one_disturbed_block_does_not_count_for_more_than_its_pair() -> None:
    pairs = [(100.0, 102.0)] * 10 + [(100.0, 9000.0)]
    found = compare(pairs)
    assert (found.plain, found.mirrored) == (100.0, 102.0)
    assert found.low == found.ratio == pytest.approx(1.02)
    assert found.high == pytest.approx(1.02)


def test_the_interval_holds_what_the_pairs_scatter() -> None:
    found = compare([(100.0, 100.0 + number) for number in range(-20, 21)])
    assert 0.9 < found.low < 1.0 == found.ratio < found.high < 1.1


def test_both_routes_are_the_same_but_for_the_mirror() -> None:
    found = Config.model_validate(config("127.0.0.1:1", "127.0.0.1:2", (3, 4, 5)))
    plain, mirrored = found.traffic.routes
    assert plain.targets == mirrored.targets
    mirrors = Mirrors.compile(found.traffic, Snapshot())
    (shadow,) = mirrors.routes["mirrored"]["identity"]
    assert (list(mirrors.routes), shadow.target, shadow.percent) == (["mirrored"], "shadows", 100.0)


def test_it_is_told_in_one_line() -> None:
    ratio = {"plain": 100.0, "mirrored": 101.0, "ratio": 1.01, "low": 0.99, "high": 1.03}
    counts = {"plain": 10, "mirrored": 11}
    row = {"shadow": "slow", "pairs": 3, "copies": 7, "requests": counts, "errors": counts} | dict.fromkeys(
        ("p50", "p99", "CPU"), ratio
    )
    assert "p99 100 -> 101 us: +1.00 % [-1.00, +3.00]" in told(row)
