from __future__ import annotations

from dataclasses import astuple

from converters.verify.gate import Gate, Thresholds


def test_gate_limits_nothing_until_it_is_told_to() -> None:
    assert set(astuple(Thresholds())) == {None}
    assert Gate() == Gate(every=Thresholds(), outputs={}, metrics=())
