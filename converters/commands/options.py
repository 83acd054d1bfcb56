"""What commands share: how data, shapes and limits are written on a command line."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from converters.build.config import GateSection, MetricSection
from converters.errors import ConfigError

Command = Callable[..., None]
FILE: click.Path = click.Path(exists=True, dir_okay=False, path_type=Path)


def data_option(required: bool = False, help_text: str = "Input") -> Callable[[Command], Command]:
    """The option `--data`."""
    return click.option(
        "--data",
        required=required,
        metavar="SOURCE",
        help=f"{help_text}: a .npz file, a folder of .npz or of recorded requests, file.py:function, or synthetic:N "
        "(random numbers).",
    )


def output_option(what: str) -> Callable[[Command], Command]:
    """The option `--output`; whether it can be written is looked at before anything is worked on."""
    kind = click.Path(dir_okay=False, path_type=Path)
    return click.option("-o", "--output", type=kind, required=True, callback=_writable, help=what)


def _writable(_context: click.Context, _option: click.Parameter, path: Path) -> Path:
    folder = next(each for each in path.absolute().parents if each.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise ConfigError(f"'{path}' cannot be written, as '{folder}' cannot", hint="name another file by --output")
    return path


def sizes(values: Sequence[str]) -> Mapping[str, Mapping[int, tuple[int, int, int]]]:
    """Ranges of dynamic dimensions as `--shape INPUT:AXIS=MIN,OPT,MAX`.

    Raises:
        ConfigError: one is not written so, or its numbers do not ascend.
    """
    found: dict[str, dict[int, tuple[int, int, int]]] = {}
    for value in values:
        tensor, axis, text = _dimension("--shape", value, "INPUT:AXIS=MIN,OPT,MAX", "x:2=32,64,128")
        found.setdefault(tensor, {})[axis] = three("--shape", value, text)
    return found


def dynamic(values: Sequence[str]) -> Mapping[str, Mapping[int, str]]:
    """Names of dynamic dimensions as `--dynamic INPUT:AXIS=NAME`.

    Raises:
        ConfigError: one is not written so.
    """
    found: dict[str, dict[int, str]] = {}
    for value in values:
        tensor, axis, name = _dimension("--dynamic", value, "INPUT:AXIS=NAME", "ids:1=tokens")
        found.setdefault(tensor, {})[axis] = name
    return found


def fixed(values: Sequence[str]) -> Mapping[str, Mapping[int, int]]:
    """Sizes of dimensions as `--fixed INPUT:AXIS=SIZE`.

    Raises:
        ConfigError: one is not written so.
    """
    found: dict[str, dict[int, int]] = {}
    for value in values:
        tensor, axis, size = _dimension("--fixed", value, "INPUT:AXIS=SIZE", "x:2=48")
        if not (size.isdecimal() and int(size)):
            raise ConfigError(f"--fixed {value}: {size!r} is no size", hint="give a whole number of at least 1")
        found.setdefault(tensor, {})[axis] = int(size)
    return found


def three(option: str, value: str, text: str) -> tuple[int, int, int]:
    """`MIN,OPT,MAX`, or one number that is all three.

    Raises:
        ConfigError: it is neither.
    """
    parts = [part.strip() for part in text.split(",")]
    numbers = [int(part) for part in parts if part.isdecimal() and int(part)]
    if len(numbers) != len(parts) or len(parts) not in (1, 3):
        raise ConfigError(f"{option} {value} cannot be read", hint="write MIN,OPT,MAX, as 1,8,32, or one number")
    if numbers != sorted(numbers):
        raise ConfigError(f"{option} {value}: min, opt and max must ascend", hint="write MIN,OPT,MAX, as 1,8,32")
    return numbers[0], numbers[len(numbers) // 2], numbers[-1]


def gate_options(command: Command) -> Command:
    """The options that make a gate."""
    command = click.option(
        "--metric", "metrics", multiple=True, metavar="FUNCTION>=LIMIT", help="A measure of your own, as m.py:f>=0.9."
    )(command)
    for name in ("top5", "top1", "cosine"):
        command = click.option(f"--{name}", type=click.FloatRange(0, 1), help="At least this.")(command)
    for name in ("mean-rel", "max-rel", "mean-abs", "max-abs"):
        command = click.option(f"--{name}", type=click.FloatRange(min=0), help="At most this.")(command)
    return command


def gate_section(limits: Mapping[str, float | None], metrics: Sequence[str]) -> GateSection | None:
    """The gate that the options ask for; None if they ask for none.

    Raises:
        ConfigError: a metric is not written as it should be.
    """
    given = {name: limit for name, limit in limits.items() if limit is not None}
    if not given and not metrics:
        return None
    return GateSection(**given, metrics=tuple(_metric(each) for each in metrics))


def _dimension(option: str, value: str, form: str, example: str) -> tuple[str, int, str]:
    match = re.fullmatch(r"(.+):(\d+)=(.+)", value)
    if match is None:
        raise ConfigError(f"{option} {value} cannot be read", hint=f"write {form}, as {example}")
    return match[1], int(match[2]), match[3]


def _metric(text: str) -> MetricSection:
    match = re.fullmatch(r"(.+?)(>=|<=)(.+)", text)
    try:
        if match is None:
            raise ValueError
        limit = float(match[3])
    except ValueError:
        raise ConfigError(
            f"--metric {text} cannot be read", hint="write FUNCTION>=LIMIT, as m.py:agreement>=0.9"
        ) from None
    bound: dict[str, Any] = {"at_least" if match[2] == ">=" else "at_most": limit}
    return MetricSection(function=match[1], **bound)
