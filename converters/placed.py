"""Where something went wrong, and the errors of the operating system as errors of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from converters.errors import DISK_FULL, ConversionError, OutOfResources


@contextmanager
def placed(model: str, step: str) -> Iterator[None]:
    """What goes wrong inside is told with this model and this step, whatever the code inside calls its own part.

    Raises:
        OutOfResources: there was no memory or no disk left.
        ConversionError: a file could not be read or written; or as it came, with its place.
    """
    try:
        yield
    except ConversionError as error:
        # The name of a step that was asked for says more than that of some function below it.
        error.place = replace(error.place, model=model or error.place.model, step=step or error.place.step)
        raise
    except MemoryError:
        raise OutOfResources(
            "the machine has no memory left for this step",
            hint="give it more memory, or use fewer or smaller batches of data",
        ).at(model=model, step=step) from None
    except BrokenPipeError:  # whoever reads has seen enough
        raise
    except OSError as error:
        raise _of_system(error).at(model=model, step=step) from error


def _of_system(error: OSError) -> ConversionError:
    file = f"'{error.filename}'" if error.filename else "a file"
    if error.errno in DISK_FULL:
        return OutOfResources(
            f"the disk is full: {file} cannot be written", hint="free some space, or use another disk"
        )
    return ConversionError(
        f"{file} cannot be used: {error.strerror or error}", hint="check that it is there, and its permissions"
    )
