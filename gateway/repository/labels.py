"""Label files: the text of each class of an output, one a line, for Triton's classification extension."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.core.errors import ModelRefused
from gateway.repository.description import ANY, Description, Tensor
from gateway.repository.shapes import show


def read_labels(path: Path) -> tuple[str, ...]:
    """The labels of a file with one a line.

    Raises:
        ModelRefused: it cannot be read, or is not UTF-8.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ModelRefused(f"{path.name}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ModelRefused(f"{path.name}:{line}: this is not UTF-8; save the labels as UTF-8 text") from None
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    return tuple(line.strip(" \t") for line in lines)


def write_labels(folder: Path, description: Description, labels: Mapping[str, Sequence[str]]) -> Description:
    """Write one file for each output that has labels.

    Args:
        folder: the model's folder.
        description: of the model.
        labels: for an output's name, the text of each class in order.

    Returns:
        the description with the files' names.

    Raises:
        ModelRefused: there is no such output, or there are more or fewer labels than classes.
    """
    names = [output.name for output in description.outputs]
    for name in labels:
        if name not in names:
            nearest = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"the outputs are {', '.join(names)}"
            raise ModelRefused(f"labels are given for {name!r}, which is no output of the model; {hint}")
    others = any(output.labels for output in description.outputs if output.name not in labels)
    outputs = []
    for index, output in enumerate(description.outputs):
        if output.name in labels:
            texts = labels[output.name]
            _check(output, texts, batches=description.batches)
            filename = "labels.txt" if len(labels) == 1 and not others else f"labels-{index}.txt"
            (folder / filename).write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
            output = dataclasses.replace(output, labels=filename)  # noqa: PLW2901 - the same output, now labelled
        outputs.append(output)
    return dataclasses.replace(description, outputs=tuple(outputs))


def _check(output: Tensor, labels: Sequence[str], *, batches: bool) -> None:
    for number, text in enumerate(labels, 1):
        if not text or "\n" in text or "\r" in text:
            problem = "has a line break in it" if text else "is empty"
            raise ModelRefused(f"label {number} of output {output.name!r} {problem}; a label is the text of one line")
    classes = output.shape[1:] if batches else output.shape
    possible = {*classes[-1:], ANY if ANY in classes else math.prod(classes)}
    if ANY not in possible and len(labels) not in possible:
        count = classes[-1] if classes else 1
        raise ModelRefused(
            f"output {output.name!r} of shape {show(output.shape)} has {count} classes, but {len(labels)} labels are "
            "given; give one for each, in order"
        )
