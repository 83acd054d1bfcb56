"""Find out by running a model what it does not tell: the shapes of its outputs, and whether it takes batches."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.core.errors import ModelRefused
from gateway.repository.description import ANY, Description, Tensor

if TYPE_CHECKING:
    from gateway.repository.kinds.base import Array

    Arrays = Mapping[str, Array]
    Run = Callable[[Arrays], Arrays]

_ROWS = 2
_MOST_FAILURES = 16
_ERROR_NAME = re.compile(r"^[\w.]+(?:Error|Exception): ")


@dataclass(frozen=True, slots=True)
class Probed:
    """What was found.

    Attributes:
        shapes: of each output, in the order in which the model gave them; -1 is any size.
        batches: whether every input and output has a batch in front whose rows do not depend on each other.
        mixes_rows: whether they look like a batch, but the rows do depend on each other.
    """

    shapes: Mapping[str, tuple[int, ...]]
    batches: bool
    mixes_rows: bool = False


def guesses(inputs: Sequence[Tensor], *, batches: bool) -> Iterable[Arrays]:
    """Inputs to try a model with of which no sample was given, the likeliest first."""
    from gateway.repository.sample import candidates  # noqa: PLC0415 - imports numpy

    return candidates(Description("", "", None, tuple(inputs), (), batches=batches, filename=""))


def probe(run: Run, inputs: Sequence[Tensor], samples: Iterable[Arrays], *, first_is_batch: bool = True) -> Probed:
    """Run a model on inputs of several sizes.

    Args:
        run: gives the outputs by name.
        inputs: what the model takes; -1 is any size.
        samples: arrays by input; the first that the model runs on is taken.
        first_is_batch: False where a person said that the first dimension is no batch.

    Raises:
        ModelRefused: the model fails, or depends on a size that was said to be any; says which.
    """
    has_rows = first_is_batch and any(tensor.shape[:1] == (ANY,) for tensor in inputs)
    trial, found = _first_that_runs(run, inputs, samples, _ROWS if has_rows else None)
    shapes = {name: list(array.shape) for name, array in found.items()}
    if has_rows:
        _mark(shapes, found, trial.with_rows(_ROWS + 1))
    if any(ANY in tensor.shape[has_rows:] for tensor in inputs):
        _mark_behind(shapes, found, trial)
    tensors = [tensor.shape for tensor in inputs] + [tuple(shape) for shape in shapes.values()]
    looks = has_rows and all(shape[:1] == (ANY,) for shape in tensors)
    alone = looks and trial.rows_stand_alone(found)
    return Probed({name: tuple(shape) for name, shape in shapes.items()}, alone, mixes_rows=looks and not alone)


@dataclass(frozen=True, slots=True)
class _Trial:
    """A model on one sample; `rows` is the first dimension where that may be of any size, None for the sample's own."""

    run: Run
    inputs: Sequence[Tensor]
    sample: Arrays
    rows: int | None

    def feed(self, rows: int | None, times: int = 1) -> dict[str, Array]:
        """The sample, repeated or cut along its dimensions of any size: to so many rows, so many times behind."""
        return {
            tensor.name: _resized(self.sample[tensor.name], tensor.shape, rows, times)
            for tensor in self.inputs
            if tensor.name in self.sample
        }

    def with_rows(self, rows: int) -> Arrays:
        """The outputs for another first dimension.

        Raises:
            ModelRefused: the model does not take it.
        """
        try:
            return self.run(self.feed(rows))
        except Exception as error:  # whatever the framework raises
            raise _fixed_size(_ROWS, rows, error) from None

    def takes_one_row(self) -> bool:
        """Whether the model runs with a first dimension of 1."""
        try:
            self.run(self.feed(1))
        except Exception:  # whatever the framework raises
            return False
        return True

    def rows_stand_alone(self, together: Arrays) -> bool:
        """Whether each row gives alone what it gives together with the others."""
        feed = self.feed(_ROWS)
        for row in range(_ROWS):
            try:
                alone = self.run({name: array[row : row + 1] for name, array in feed.items()})
            except Exception:  # whatever the framework raises
                return False
            if not all(_alike(alone[name], array[row : row + 1]) for name, array in together.items()):
                return False
        return True


def _first_that_runs(
    run: Run, inputs: Sequence[Tensor], samples: Iterable[Arrays], rows: int | None
) -> tuple[_Trial, Arrays]:
    failures: list[Exception] = []
    for sample in samples:
        trial = _Trial(run, inputs, sample, rows)
        try:
            return trial, run(trial.feed(rows))
        except ModelRefused:
            raise
        except Exception as error:  # whatever the framework raises
            if rows is not None and trial.takes_one_row():
                raise _fixed_size(1, rows, error) from None
            failures.append(error)
        if len(failures) == _MOST_FAILURES:
            break
    raise ModelRefused(
        f"the model fails when it is tried: {_line(failures[0])}; check the datatypes and shapes that were said, or "
        "give inputs that it takes as a sample, NAME.npz, written with numpy.savez"
    )


def _fixed_size(works: int, fails: int, error: Exception) -> ModelRefused:
    return ModelRefused(
        f"the model runs with a first dimension of {works}, but not of {fails} ({_line(error)}): its size was fixed "
        "when the model was traced. Use x.shape[0] in its code, or torch.jit.script; or give the shape with "
        f"{works} in front instead of -1"
    )


def _mark(shapes: Mapping[str, list[int]], before: Arrays, after: Arrays) -> None:
    """Set the dimensions that changed to any size."""
    if before.keys() != after.keys():
        raise ModelRefused("the model gives other outputs for inputs of other sizes; let it give the same ones always")
    for name, shape in shapes.items():
        old, new = before[name].shape, after[name].shape
        if len(old) != len(new):
            raise ModelRefused(
                f"output '{name}' has {len(old)} dimensions or {len(new)}, by the size of the input; let the model "
                "give it the same number of dimensions always"
            )
        for axis, (one, other) in enumerate(zip(old, new, strict=True)):
            if one != other:
                shape[axis] = ANY


def _mark_behind(shapes: Mapping[str, list[int]], found: Arrays, trial: _Trial) -> None:
    """Vary the dimensions behind the rows; where the model takes no other size, anything may depend on them."""
    try:
        varied = trial.run(trial.feed(trial.rows, times=2))
    except Exception:  # whatever the framework raises
        kept = 0 if trial.rows is None else 1
        for shape in shapes.values():
            shape[kept:] = [ANY] * (len(shape) - kept)
    else:
        _mark(shapes, found, varied)


def _resized(array: Array, shape: Sequence[int], rows: int | None, times: int) -> Array:
    import numpy as np  # noqa: PLC0415 - only the sandbox needs it

    for axis, size in enumerate(shape):
        own = array.shape[axis]
        wanted = rows if axis == 0 and rows is not None else own * times
        if size == ANY and own:
            array = np.take(array, np.arange(wanted) % own, axis)
    return array


def _alike(found: Array, expected: Array) -> bool:
    """Whether two answers are the same one; whole numbers may come from a near tie of others, so only shapes count."""
    import numpy as np  # noqa: PLC0415 - only the sandbox needs it

    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    return found.dtype.kind != "f" or np.allclose(found, expected, rtol=1e-2, atol=1e-3, equal_nan=True)


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return _ERROR_NAME.sub("", lines[-1])[:300] if lines else type(error).__name__
