from typing import get_args

from converters.precision.base import Calibration, Kept, Precision
from converters.verify.explain import _WAYS_OUT
from converters.verify.judge import DEFAULT_THRESHOLDS


def test_every_precision_has_limits_and_ways_out() -> None:
    assert set(DEFAULT_THRESHOLDS) == set(_WAYS_OUT) == set(get_args(Precision))


def test_ranges_are_all_that_was_seen_unless_told_otherwise() -> None:
    assert (Calibration().method, Calibration().per_channel) == ("minmax", True)


def test_what_a_search_finds_becomes_what_the_rest_is() -> None:
    kept = Kept(frozenset({"a"}), frozenset({"b"}))
    assert kept.with_found(frozenset({"c"}), "fp32") == Kept(frozenset({"a", "c"}), frozenset({"b"}))
    assert kept.with_found(frozenset({"c"}), "fp16") == Kept(frozenset({"a"}), frozenset({"b", "c"}))
