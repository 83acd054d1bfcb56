"""What people say about a model beside its file: `NAME.yaml` and `NAME.npz`, or `model.yaml` and `sample.npz` inside.

A sidecar in YAML, every key optional:

    inputs:
      - {name: image, datatype: FP32, shape: [-1, 3, 224, 224]}
    outputs:
      - {name: scores, datatype: FP32, shape: [-1, 10]}
    labels: {scores: classes.txt}    # or a list
    batches: true
    max_batch_size: 32
    tolerance: 0.001
    deterministic: true
    sample: example.npz              # one array for each input
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway import config_file
from gateway.core.errors import ConfigError, ModelRefused
from gateway.repository import sample_file
from gateway.repository.datatypes import normalise
from gateway.repository.description import Hints, Tensor
from gateway.repository.labels import read_labels
from gateway.repository.shapes import parse_shape

INPUT_FORM = "NAME:DTYPE:DIMS, for example image:FP32:-1,3,224,224"
"""How `--input` is written."""

_SUFFIXES = (".yaml", ".yml")
_LARGEST_YAML_BYTES = 2**18
_DEEPEST_YAML = 10


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"expected text, found {value!r}; put it in quotes")
    return str(value)


def _datatype(value: object) -> str:
    return normalise(_text(value))


def _labels(value: object) -> tuple[str, ...] | str:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise ValueError("expected a list of labels, or the name of a file with one label a line")
    return tuple(_text(each) for each in value)


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _TensorEntry(_Closed):
    name: Annotated[str, BeforeValidator(_text), Field(min_length=1)]
    datatype: Annotated[str, BeforeValidator(_datatype)]
    shape: Annotated[tuple[int, ...], BeforeValidator(parse_shape)]
    optional: bool = False


class _Sidecar(_Closed):
    inputs: tuple[_TensorEntry, ...] = ()
    outputs: tuple[_TensorEntry, ...] = ()
    batches: bool | None = None
    max_batch_size: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    labels: dict[str, Annotated[Any, BeforeValidator(_labels)]] = Field(default_factory=dict)
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Hints().tolerance
    deterministic: bool = Hints().deterministic
    sample: str | None = None


def sidecars(source: Path) -> tuple[Path, ...]:
    """The files that belong to a dropped file or folder and are hints, not a model; those that are there.

    Those beside a file, with what their YAML names; those inside a folder. Never raises: what is wrong with them says
    `read_hints`.
    """
    found = [path for path in (*_yaml_of(source), _npz_of(source)) if path.is_file()]
    for path in [path for path in found if path.suffix in _SUFFIXES]:
        try:
            sidecar = _read(path)
            names = [sidecar.sample, *sidecar.labels.values()]
            found += [_inside(path, name) for name in names if isinstance(name, str)]
        except ModelRefused:
            continue
    return tuple(path for path in dict.fromkeys(found) if path.is_file() and path != source)


def read_hints(source: Path) -> Hints:
    """What is said about a dropped file or folder; empty hints if nothing is.

    A sample without `inputs` says what the inputs are: names, datatypes and shapes. If all its arrays have the same
    first dimension, that is taken as the batch, of any size; whether it is stays open (`Hints.batches` is None) until
    somebody says so.

    Raises:
        ModelRefused: a sidecar cannot be read or says what there is not; the message names the file, the line and
            the key.
    """
    yamls = [path for path in _yaml_of(source) if path.is_file()]
    if len(yamls) > 1:
        raise ModelRefused(f"{yamls[0].name} and {yamls[1].name} both describe {source.name}; keep one")
    hints = _hints_of(yamls[0]) if yamls else Hints()
    beside = _npz_of(source)
    if hints.sample is None and beside.is_file():
        hints = dataclasses.replace(hints, sample=beside)
    if hints.sample is not None and not hints.inputs:
        inputs = sample_file.inputs_of(hints.sample, batches=hints.batches)
        hints = dataclasses.replace(hints, inputs=inputs)
    return hints


def parse_input(text: str) -> Tensor:
    """An input from the command line, `NAME:DTYPE:DIMS`; the name may have colons of its own.

    Raises:
        ModelRefused: it is not of this form.
    """
    name, *rest = text.rsplit(":", 2)
    if len(rest) != 2 or not name:
        raise ModelRefused(f"--input {text}: expected {INPUT_FORM}")
    try:
        return Tensor(name, normalise(rest[0]), parse_shape(rest[1]))
    except ValueError as error:
        raise ModelRefused(f"--input {text}: {error}; expected {INPUT_FORM}") from None


def merge(hints: Hints, more: Hints) -> Hints:
    """Both together; where they differ `more` wins. Tensors are told apart by name, labels by output."""
    default = Hints()
    said = {
        field.name: getattr(more, field.name)
        for field in dataclasses.fields(Hints)
        if getattr(more, field.name) != getattr(default, field.name)
    }
    together = {
        "inputs": _by_name(hints.inputs, more.inputs),
        "outputs": _by_name(hints.outputs, more.outputs),
        "labels": {**hints.labels, **more.labels},
    }
    return dataclasses.replace(hints, **{**said, **together})


def _by_name(tensors: Iterable[Tensor], more: Iterable[Tensor]) -> tuple[Tensor, ...]:
    return tuple({tensor.name: tensor for tensor in (*tensors, *more)}.values())


def _yaml_of(source: Path) -> tuple[Path, ...]:
    if source.is_dir():
        return tuple(source / f"model{suffix}" for suffix in _SUFFIXES)
    return tuple(source.with_suffix(suffix) for suffix in _SUFFIXES)


def _npz_of(source: Path) -> Path:
    return source / "sample.npz" if source.is_dir() else source.with_suffix(".npz")


def _read(path: Path) -> _Sidecar:
    try:
        _refuse_bombs(path)
        return config_file.read(_Sidecar, path)
    except ConfigError as error:
        raise ModelRefused(str(error).replace(str(path), path.name)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelRefused(f"{path.name}: cannot be read: {error}") from None


def _refuse_bombs(path: Path) -> None:
    """A few bytes of YAML can stand for more values than there is memory, or take hours to read."""
    if path.stat().st_size > _LARGEST_YAML_BYTES:
        raise ModelRefused(f"{path.name}: is larger than {_LARGEST_YAML_BYTES >> 10} KiB; put labels into a file")
    depth = 0
    try:
        for event in yaml.parse(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST_YAML:
                raise ModelRefused(f"{path.name}: lists and sections are nested more than {_DEEPEST_YAML} deep")
            if isinstance(event, yaml.AliasEvent):
                raise ModelRefused(f"{path.name}: YAML aliases such as *{event.anchor} are not taken; write it out")
    except yaml.MarkedYAMLError:
        return  # whoever reads it will say where
    except yaml.YAMLError as error:
        raise ModelRefused(f"{path.name}: this is not YAML: {str(error).splitlines()[0]}") from None


def _hints_of(path: Path) -> Hints:
    sidecar = _read(path)
    for side, entries in (("inputs", sidecar.inputs), ("outputs", sidecar.outputs)):
        names = [entry.name for entry in entries]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ModelRefused(f"{path.name}: {side}: {twice!r} is there twice; keep one")
    labels = {
        output: read_labels(_existing(path, f"labels.{output}", given)) if isinstance(given, str) else given
        for output, given in sidecar.labels.items()
    }
    return Hints(
        inputs=tuple(Tensor(**dict(entry)) for entry in sidecar.inputs),
        outputs=tuple(Tensor(**dict(entry)) for entry in sidecar.outputs),
        sample=_existing(path, "sample", sidecar.sample) if sidecar.sample else None,
        batches=sidecar.batches,
        max_batch_size=sidecar.max_batch_size,
        labels=labels,
        tolerance=sidecar.tolerance,
        deterministic=sidecar.deterministic,
    )


def _existing(sidecar: Path, key: str, name: str) -> Path:
    path = _inside(sidecar, name)
    if not path.is_file():
        raise ModelRefused(f"{sidecar.name}: {key}: there is no file {name!r} beside it")
    return path


def _inside(sidecar: Path, name: str) -> Path:
    """A file that a sidecar names, which lies in the sidecar's folder or below and nowhere else."""
    folder = sidecar.parent.resolve()
    if not (folder / name).resolve().is_relative_to(folder):
        raise ModelRefused(f"{sidecar.name}: {name!r} is outside of the folder that {sidecar.name} is in")
    return sidecar.parent / name
