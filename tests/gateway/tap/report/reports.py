"""Reports for tests: empty, and with a bit of everything."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gateway.tap.compare import compare
from gateway.tap.report.model import Report
from gateway.tap.tally import Tally
from gateway.traffic.mirror_sections import CompareSection
from tests.gateway.tap.bodies import answer, exchange, floats, refusal

START = 1_790_000_000
SECTION = CompareSection(absolute=0.1, relative=0.0)


def empty(**changed: Any) -> Report:
    return Report("ocr", "ocr-2", SECTION.model_dump(mode="json") | changed)


def full(odd: str = "scores") -> Report:
    """200 comparisons, over 33 minutes; `odd` is the name of an output, and part of what is said."""
    tally, chance = Tally(empty()), np.random.default_rng(1)
    for number in range(200):
        expected = {odd: floats(*chance.normal(size=10)), "label": np.array([b"cat"], object), "n": np.array([[7, 8]])}
        got = {**expected, odd: expected[odd] + np.float32(10 ** chance.normal(-2, 0.5)) * (number % 3)}
        candidate = answer(got, "ocr-2", float(chance.lognormal(math.log(0.02), 0.3)), "2")
        if number == 150:
            candidate = refusal(503, f"busy {odd}", "ocr-2")
        if number == 151:
            candidate = answer(expected | {odd: floats(*[math.nan] * 10)}, "ocr-2")
        if number == 152:
            candidate = answer(expected | {"label": np.array([b"dog"], object)}, "ocr-2")
        baseline = answer(expected, "ocr", float(chance.lognormal(math.log(0.01), 0.2)))
        arrived = (START + 10 * number) * 10**9
        given = exchange(baseline, candidate, arrived=arrived, request_id=f"id-{number}-{odd}")
        tally.add(given, compare(given, SECTION))
    return tally.report
