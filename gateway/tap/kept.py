"""Requests whose answers differed, kept for a replay: a fair sample of them, in the format of recorded requests.

Below a pair's folder lies `differing/`, which is a log as `gateway/tap/recording/segment.py` defines it: a folder for
the model, and in it for each request a segment of its own, with the baseline's outputs as what is expected. Beside it,
`<segment>.json` says what both answered, in short. What must not be in a recording is in neither.
"""

from __future__ import annotations

import os
import random
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from gateway.tap.datatypes import Tensor, Undecodable
from gateway.tap.difference import Difference
from gateway.tap.exchange import Answer, Exchange
from gateway.tap.recording.redact import redacted
from gateway.tap.recording.segment import LINES, TENSORS, Recorded, SegmentName, check, encoded
from gateway.tap.report.model import file_name, make_place
from gateway.tap.sections import RedactSection
from gateway.tap.tensors import answer_tensors, failure, request_tensors

DIFFERING = "differing"
SUMMARY = ".json"

_MOST_BYTES = 2**28
_MOST_OF_ONE = 2**26
_FIRST = 8  # elements that a summary shows
_LONGEST = 40  # bytes of a text in it


class Keep:
    """The differing requests of one pair. Its calls block; one thread at a time makes them.

    Args:
        folder: of the pair.
        most: how many are kept.
        redact: what must not be in them.
        seen: how many have differed before.
        chance: from 0 to 1, below 1.

    Attributes:
        redact: of those that are kept from now on.
    """

    def __init__(
        self, folder: Path, most: int, redact: RedactSection, seen: int = 0, chance: random.Random | None = None
    ) -> None:
        self.redact = redact
        self._folder, self._most, self._seen = folder / DIFFERING, most, seen
        self._chance = chance or random.Random()  # noqa: S311 - it draws a sample
        self._stems: list[Path] | None = None

    @property
    def count(self) -> int:
        """How many there are; 0 before the first was offered."""
        return len(self._stems or ())

    def offer(self, exchange: Exchange, difference: Difference) -> None:
        """Keep a request, perhaps in the place of another, so that each that differed has the same chance to be here.

        Raises:
            Undecodable: the request holds no tensors that can be kept.
            OSError: it cannot be written.
        """
        if self._stems is None:
            self._stems = self._found()
        self._seen += 1
        if exchange.size > _MOST_OF_ONE or self._chance.random() * self._seen >= self._most:
            return
        request = redacted(_recorded(exchange), self.redact)
        check(request)
        content = {
            **dict(zip((TENSORS, LINES), encoded([request]), strict=True)),
            SUMMARY: _summary(exchange, difference, self.redact),
        }
        stem = self._folder / file_name(exchange.model) / str(SegmentName.of([request], os.getpid()))
        if stem in self._stems:  # which would be written over
            return
        _write(stem, content)  # before another goes for it: where nothing can be written, what is there stays
        self._make_room(sum(map(len, content.values())))
        self._stems.append(stem)

    def _found(self) -> list[Path]:
        """Those of an earlier process."""
        found = sorted(path.with_suffix("") for path in self._folder.glob(f"*/[0-9]*{LINES}"))
        for stem in found[self._most :]:
            _remove(stem)
        return found[: self._most]

    def _make_room(self, size: int) -> None:
        assert self._stems is not None  # noqa: S101 - for the type checker
        used = sum(map(_size, self._stems))
        while self._stems and (len(self._stems) >= self._most or used + size > _MOST_BYTES):
            stem = self._stems.pop(self._chance.randrange(len(self._stems)))
            used -= _size(stem)
            _remove(stem)


def _recorded(exchange: Exchange) -> Recorded:
    asked, baseline = request_tensors(exchange), exchange.answers[0]
    try:
        outputs = answer_tensors(exchange.protocol, baseline)
    except Undecodable:  # an error, and the candidate's answer was none
        outputs = None
    return Recorded(
        model=exchange.model,
        version=exchange.version,
        protocol=exchange.protocol,
        arrived=exchange.arrived,
        request=asked,
        outputs=outputs,
        request_id=exchange.request_id,
        tenant=exchange.tenant,
        target=baseline.target,
        seconds=baseline.seconds,
    )


def _summary(exchange: Exchange, difference: Difference, redact: RedactSection) -> bytes:
    told = {
        "route": exchange.route,
        "mirror": exchange.mirror,
        "reason": difference.reason,
        "error": difference.error,
        "differences": difference.outputs,
    }
    sides = zip(("baseline", "candidate"), exchange.answers, strict=True)
    return msgspec.json.encode(told | {side: _answer(exchange, answer, redact) for side, answer in sides}) + b"\n"


def _answer(exchange: Exchange, answer: Answer, redact: RedactSection) -> dict[str, Any]:
    told: dict[str, Any] = {
        "target": answer.target,
        "model": answer.model,
        "version": answer.version,
        "seconds": answer.seconds,
        "failure": failure(exchange.protocol, answer),
    }
    try:
        tensors = answer_tensors(exchange.protocol, answer)
    except Undecodable as error:
        return told | {"unreadable": error.message}
    return told | {"outputs": {each.name: _output(each, redact) for each in tensors}}


def _output(tensor: Tensor, redact: RedactSection) -> dict[str, Any]:
    told: dict[str, Any] = {"datatype": tensor.datatype, "shape": tensor.shape}
    if any(fnmatchcase(tensor.name, pattern) for pattern in redact.outputs):
        return told | {"redacted": True}
    first = tensor.data.reshape(-1)[:_FIRST].tolist()
    if tensor.datatype == "BYTES":
        return told | {"first": [element[:_LONGEST].decode("utf-8", "backslashreplace") for element in first]}
    numbers = tensor.data[np.isfinite(tensor.data)].astype(np.float64)
    if numbers.size:
        told |= {"least": float(numbers.min()), "most": float(numbers.max()), "mean": float(numbers.mean())}
    return told | {"first": first}


def _write(stem: Path, content: dict[str, bytes]) -> None:
    """Write the files of a request, hidden ones first; the one that makes it exist appears last."""
    make_place(stem.parent.parent.parent)
    make_place(stem.parent)
    for suffix in (TENSORS, SUMMARY, LINES):
        hidden = stem.with_name(f".{stem.name}{suffix}")
        try:
            with open(hidden, "wb", opener=partial(os.open, mode=0o600)) as file:
                file.write(content[suffix])
            hidden.rename(stem.with_name(f"{stem.name}{suffix}"))
        except OSError:
            _remove(stem)
            hidden.unlink(missing_ok=True)
            raise


def _remove(stem: Path) -> None:
    for suffix in (LINES, SUMMARY, TENSORS):
        stem.with_name(f"{stem.name}{suffix}").unlink(missing_ok=True)


def _size(stem: Path) -> int:
    paths = [stem.with_name(f"{stem.name}{suffix}") for suffix in (TENSORS, LINES, SUMMARY)]
    return sum(path.stat().st_size for path in paths if path.exists())
