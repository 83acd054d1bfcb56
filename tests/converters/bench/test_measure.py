from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from converters.arrays import Array, Feeds
from converters.bench.measure import bench, sized
from converters.bench.result import BenchOptions
from converters.bench.variants import Variant, onnx_variant
from converters.errors import BadData, ConfigError, OutOfResources, ToolMissing
from converters.verify.base import Runner
from tests.converters.verify.doubles import FunctionRunner, Heard, doubling

FEEDS = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}


def options(batch_sizes: tuple[int, ...] = (1,), concurrency: tuple[int, ...] = (1,)) -> BenchOptions:
    return BenchOptions(FEEDS, batch_sizes, concurrency, rounds=3, slice_seconds=0.0, warm_up=1)


def test_measures_every_variant_at_every_size_and_concurrency() -> None:
    variants = [onnx_variant("first", doubling(), 1), onnx_variant("second", doubling(), 1)]
    heard = Heard()
    result = bench(variants, options((1, 4), (1, 2)), heard)
    cells = [(m.variant, m.batch_size, m.concurrency) for m in result.measurements]
    assert cells == [(v, b, c) for b in (1, 4) for c in (1, 2) for v in ("first", "second")]
    for measured in result.measurements:
        assert measured.runs == 3 * measured.concurrency
        assert 0 < measured.p50_ms <= measured.p90_ms <= measured.p99_ms
        assert measured.inferences_per_s > 0
        assert measured.cpu_ms >= 0
    assert [loaded.variant for loaded in result.loaded] == ["first", "second"]
    assert result.not_run == ()
    assert heard.stages[0] == ("load", 2)
    assert ("measure batch 4, 2 at once", 3) in heard.stages


def test_ratios_are_against_the_first() -> None:
    result = bench([onnx_variant("first", doubling(), 1), onnx_variant("second", doubling(), 1)], options(), Heard())
    first, second = result.measurements
    assert (first.latency_ratio, first.throughput_ratio) == (1.0, 1.0)
    assert second.latency_ratio == pytest.approx(first.p50_ms / second.p50_ms)
    assert second.throughput_ratio == pytest.approx(second.inferences_per_s / first.inferences_per_s)


def test_variants_take_turns_and_each_turn_begins_with_a_run_that_is_not_counted() -> None:
    order: list[str] = []

    def variant(name: str) -> Variant:
        def run(feeds: Feeds) -> Mapping[str, Array]:
            order.append(name)
            return {}

        return Variant(name, lambda: FunctionRunner(run))

    result = bench([variant("a"), variant("b"), variant("c")], options(), Heard())
    assert "".join(order) == "abc" + "abc" + "aabbcc" + "bbccaa" + "ccaabb"  # loaded, warmed up, three rounds
    assert {measured.runs for measured in result.measurements} == {3}


def test_what_cannot_be_loaded_or_refuses_a_size_is_listed() -> None:
    def missing() -> Runner:
        raise ToolMissing("there is no GPU", hint="use a machine with one")

    def only_one(feeds: Feeds) -> Mapping[str, Array]:
        if len(feeds["x"]) != 1:
            raise BadData("the batch is 1", hint="give one sample")
        return {}

    fixed = FunctionRunner(only_one)
    result = bench(
        [Variant("engine", missing), Variant("fixed", lambda: fixed), onnx_variant("onnx", doubling(), 1)],
        options((1, 2)),
        Heard(),
    )
    assert [(left.variant, left.batch_size) for left in result.not_run] == [("engine", None), ("fixed", 2)]
    assert "there is no GPU; use a machine with one" in result.not_run[0].reason
    assert [(m.variant, m.batch_size) for m in result.measurements] == [("fixed", 1), ("onnx", 1), ("onnx", 2)]
    assert {measured.latency_ratio for measured in result.measurements} == {None}  # the first was not measured
    assert fixed.closed


def test_failure_under_concurrency_ends_the_bench_and_closes_all() -> None:
    runs = iter(range(100))

    def run(feeds: Feeds) -> Mapping[str, Array]:
        if next(runs) > 3:
            raise OutOfResources("no memory is left", hint="use smaller batches")
        return {}

    runner = FunctionRunner(run)
    with pytest.raises(OutOfResources):
        bench([Variant("greedy", lambda: runner)], options(concurrency=(3,)), Heard())
    assert runner.closed


def test_names_are_used_once() -> None:
    with pytest.raises(ConfigError, match="one name"):
        bench([onnx_variant("a", doubling()), onnx_variant("a", doubling())], options(), Heard())


def test_batches_are_repeated_or_cut() -> None:
    assert sized(FEEDS, 1)["x"].tolist() == [[0, 1, 2]]
    assert sized(FEEDS, 3)["x"].tolist() == [[0, 1, 2], [3, 4, 5], [0, 1, 2]]
    streaming = {"x": np.zeros((1, 512)), "state": np.zeros((2, 1, 128)), "rate": np.array(16000)}
    assert sized(streaming, 1) is streaming
    with pytest.raises(BadData, match="batch size 1 alone"):
        sized(streaming, 2)
    with pytest.raises(BadData, match="no sample"):
        sized({"x": np.zeros((0, 3))}, 2)
