"""How far outputs are from the original's, added up batch by batch, so that no more than one batch is in memory.

Numbers of every type are compared as FP64. Labels that are strings are compared as if each were one-hot encoded: an
error is 0 or 1, and the cosine is the share of equal ones. A cosine of samples of one number would be their sign, so
there it is that of all samples' numbers together. Integers that are one for each sample are classes: the best class is
the number itself. What is not finite in either the original or the result is in no error, only in `bad`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from converters.arrays import Array, Feeds, datatype_of
from converters.verify.base import Histogram, OutputDifference

_EDGES = np.array(
    [float(f"1e{power}") for power in range(-9, 309)]
)  # below the first is the bin of what is 0 or nearly
_LARGEST = float(np.finfo(np.float64).max)
_CHUNK = 1 << 20  # entries that are sorted at once for the best five


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Batches in which an output cannot be compared.

    Attributes:
        output: its name.
        batches: how many.
        example: the first of them, such as "FP32 [3, 7] instead of FP32 [5, 7]".
    """

    output: str
    batches: int
    example: str


def batch_size(feeds: Feeds) -> int:
    """Samples in a batch: the first dimension, if all inputs agree on it; 1 otherwise."""
    sizes = {array.shape[0] for array in feeds.values() if array.ndim}
    return int(sizes.pop()) if len(sizes) == 1 else 1


def magnitude(arrays: list[Array]) -> float:
    """The mean absolute value of all finite numbers; 0 for strings and where there are none."""
    total, count = 0.0, 0
    for array in arrays:
        if datatype_of(array) != "BYTES":
            values = np.abs(array.astype(np.float64))
            values = values[np.isfinite(values)]
            total, count = total + float(values.sum()), count + values.size
    return total / count if count else 0.0


class Accumulator:
    """Adds up one output's differences.

    Args:
        name: the output's.
        scale: the mean absolute value of the original's output over all data (`magnitude`); relative errors of smaller
            values are relative to it. Where it is 0, any difference is a relative error of 1.
    """

    def __init__(self, name: str, scale: float) -> None:
        self._name = name
        self._scale = scale
        self._count = 0
        self._bad = 0
        self._max_abs = self._sum_abs = self._max_rel = self._sum_rel = 0.0
        self._cosine = 1.0
        self._products = np.zeros(3)  # original x result, original squared, result squared, of samples of one number
        self._agreements: dict[int, list[int]] = {}  # by how many classes are looked at: agreeing samples, samples
        self._bins = np.zeros(len(_EDGES) + 1, np.int64)
        self._mismatches = 0
        self._example = ""

    def add(self, original: Array, result: Array, samples: int) -> None:
        """One batch of so many samples; batches whose shapes or kinds differ are counted, and not compared."""
        if _told(original) != _told(result):
            self._mismatches += 1
            self._example = self._example or f"{_plain(result)} instead of {_plain(original)}"
            return
        batched = original.ndim > 0 and original.shape[0] == samples
        sample = original.shape[1:] if batched else original.shape
        rows = (samples if batched else 1, math.prod(sample))
        original, result = original.reshape(rows), result.reshape(rows)
        if not original.size:
            return
        if datatype_of(original) == "BYTES":
            self._add_labels(original, result)
            return
        discrete = original.dtype.kind in "biu" and result.dtype.kind in "biu"
        differs = original != result if discrete else np.zeros(rows, bool)
        with np.errstate(over="ignore"):  # only differences of huge FP64 values do, and become infinite
            first, second = original.astype(np.float64), result.astype(np.float64)
            self._add_numbers(first, second, differs)
        if discrete and rows[1] == 1:
            self._agree(1, ~differs[:, 0])
        elif sample and sample[-1] > 1:
            self._add_ranks(first.reshape(-1, sample[-1]), second.reshape(-1, sample[-1]))

    def mismatch(self) -> Mismatch | None:
        """The batches that could not be compared, if there are any."""
        return Mismatch(self._name, self._mismatches, self._example) if self._mismatches else None

    def difference(self) -> OutputDifference:
        """Everything so far; of no data at all, no difference."""
        shares = {k: agreed / total for k, (agreed, total) in self._agreements.items() if total}
        return OutputDifference(
            name=self._name,
            max_abs=self._max_abs,
            mean_abs=self._sum_abs / max(self._count, 1),
            max_rel=self._max_rel,
            mean_rel=self._sum_rel / max(self._count, 1),
            cosine=min(self._cosine, _cosine(*self._products)),
            top1=shares.get(1),
            top5=shares.get(5),
            bad=self._bad,
            histogram=self._histogram(),
        )

    def _add_numbers(self, original: Array, result: Array, differs: Array) -> None:
        """Rows of numbers, one row a sample; `differs` tells which integers do."""
        same = (original == result) | (np.isnan(original) & np.isnan(result))
        self._bad += int(np.count_nonzero(~np.isfinite(result) & ~same))
        usable = np.isfinite(original) & np.isfinite(result)
        original, result = np.where(usable, original, 0.0), np.where(usable, result, 0.0)
        # FP64 cannot tell large neighbouring integers apart.
        errors = np.clip(np.abs(original - result), differs, _LARGEST)
        bases = np.maximum(np.abs(original), self._scale)
        relative = np.divide(errors, bases, out=(errors > 0).astype(np.float64), where=bases > 0)
        self._add_errors(errors[usable], relative[usable])
        if original.shape[1] == 1:
            unit = self._scale or 1.0
            a, b = original / unit, result / unit
            self._products += np.array([(a * b).sum(), (a * a).sum(), (b * b).sum()])
        else:
            self._cosine = min(self._cosine, float(_cosines(original, result).min()))

    def _add_errors(self, errors: Array, relative: Array) -> None:
        if not errors.size:
            return
        self._count += errors.size
        self._sum_abs += float(errors.sum())
        self._sum_rel += float(relative.sum())
        self._max_abs = max(self._max_abs, float(errors.max()))
        self._max_rel = max(self._max_rel, float(relative.max()))
        self._bins += np.bincount(np.searchsorted(_EDGES, errors, side="right"), minlength=len(self._bins))

    def _add_ranks(self, original: Array, result: Array) -> None:
        """Whether each row's best classes are the same."""
        classes = original.shape[1]
        comparable = ~np.any(np.isnan(result) & ~np.isnan(original), axis=1)
        self._agree(1, (original.argmax(axis=1) == result.argmax(axis=1)) & comparable)
        step = max(_CHUNK // classes, 1)
        for start in range(0, len(original) if classes > 5 else 0, step):
            part = slice(start, start + step)
            same = np.all(_best_five(original[part]) == _best_five(result[part]), axis=1)
            self._agree(5, same & comparable[part])

    def _add_labels(self, original: Array, result: Array) -> None:
        pairs = zip(original.reshape(-1).tolist(), result.reshape(-1).tolist(), strict=True)
        equal = np.array([_bytes(first) == _bytes(second) for first, second in pairs]).reshape(original.shape)
        errors = (~equal).astype(np.float64).reshape(-1)
        self._add_errors(errors, errors)
        self._agree(1, equal.all(axis=1))
        if equal.shape[1] == 1:
            self._products += np.array([np.count_nonzero(equal), equal.size, equal.size])
        else:
            self._cosine = min(self._cosine, float(equal.mean(axis=1).min()))

    def _agree(self, classes: int, agreed: Array) -> None:
        counts = self._agreements.setdefault(classes, [0, 0])
        counts[0] += int(np.count_nonzero(agreed))
        counts[1] += int(agreed.size)

    def _histogram(self) -> Histogram:
        # Up to 1, and as far beyond as errors go, so that outputs' histograms have most of their bins in common.
        used = max(int(np.flatnonzero(self._bins).max(initial=0)) + 1, int(np.searchsorted(_EDGES, 1.0)) + 1)
        edges = (0.0, *_EDGES.tolist(), _LARGEST)
        return Histogram(edges[: used + 1], tuple(self._bins[:used].tolist()))


def _cosines(original: Array, result: Array) -> Array:
    """Each row's cosine; 1 for two zero vectors, 0 for one."""
    scales = [np.abs(side).max(axis=1, keepdims=True) for side in (original, result)]
    a, b = (
        np.divide(side, scale, out=np.zeros_like(side), where=scale > 0)
        for side, scale in zip((original, result), scales, strict=True)
    )
    norms = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    both_zero = (scales[0][:, 0] == 0) & (scales[1][:, 0] == 0)
    cosines: Array = np.divide((a * b).sum(axis=1), norms, out=both_zero.astype(np.float64), where=norms > 0)
    return cosines.clip(-1.0, 1.0)


def _cosine(product: float, original: float, result: float) -> float:
    if original == 0 or result == 0:
        return 1.0 if original == result else 0.0
    return float(np.clip(product / (math.sqrt(original) * math.sqrt(result)), -1.0, 1.0))


def _best_five(rows: Array) -> Array:
    """The indices of each row's five largest entries, ascending; of equal entries, the first."""
    with np.errstate(invalid="ignore"):
        return np.sort(np.argsort(-rows, axis=1, kind="stable")[:, :5], axis=1)


def _told(array: Array) -> tuple[bool, tuple[int, ...]]:
    # A dimension of 1 more or less, such as a label's [n] and [n, 1], is no difference.
    return datatype_of(array) == "BYTES", tuple(size for size in array.shape if size != 1)


def _plain(array: Array) -> str:
    return f"{datatype_of(array) or array.dtype} {list(array.shape)}"


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
