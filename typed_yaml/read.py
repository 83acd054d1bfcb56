"""How a YAML file becomes a typed configuration, and what a mistake in it is told as.

Unknown keys and wrong values are refused with the line they stand on and, for a misspelt key, the nearest valid name.
The gateway and the converters, which know nothing of each other, read their configurations with it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_origin

import yaml
from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)


class Mistake(ValueError):
    """Something is wrong in a file or an override; the message says where, and what is allowed instead."""


Check = Callable[[Model], Iterable[tuple[Sequence[str | int], str]]]
"""Finds what no part of a configuration can see by itself: the place of each mistake, and what is wrong."""


def read(
    model: type[Model], path: Path | None, overrides: tuple[str, ...] = (), check: Check[Model] = lambda _: ()
) -> Model:
    """Read a configuration.

    Args:
        model: what the file is to say.
        path: a YAML file, or None for the defaults alone.
        overrides: `KEY=VALUE` pairs with dotted keys that win over the file, such as `http.port=9000`.
        check: looks at the whole, once each part is right.

    Raises:
        Mistake: the file cannot be read, is not YAML, or says something that the model does not know.
    """
    text = _text(path) if path else ""
    where = str(path) if path else "configuration"
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Mistake(f"{where}:{line}: this is not YAML: {error.problem}") from None
    _refuse_twice(where, tree)
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise Mistake(
            f"{where}:1: expected keys such as `{next(iter(model.model_fields))}:`, found {type(values).__name__}"
        )
    for override in overrides:
        _override(values, override)
    try:
        found = model.model_validate(values)
    except ValidationError as error:
        raise Mistake("\n".join(_explain(model, where, tree, e) for e in error.errors())) from None
    mistakes = [f"{_place(where, tree, place)}: {message}" for place, message in check(found)]
    if mistakes:
        raise Mistake("\n".join(mistakes))
    return found


def _refuse_twice(where: str, node: yaml.Node | None) -> None:
    """YAML takes the last of two entries with one name, and forgets the first without a word."""
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise Mistake(f"{where}:{line}: {key.value!r} stands in line {seen[key.value]} already; keep one")
            seen[key.value] = line
            _refuse_twice(where, value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_twice(where, value)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Mistake(f"{path}: there is no such file; name another with --config") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Mistake(f"{path}: cannot be read: {error}") from None


def _override(values: dict[str, Any], override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator:
        raise Mistake(f"--set {override}: expected KEY=VALUE, for example http.port=9000")
    *parents, leaf = key.split(".")
    for parent in parents:
        section = values.get(parent)
        if section is None:
            section = values[parent] = {}
        if not isinstance(section, dict):
            raise Mistake(f"--set {override}: {parent} is not a section")
        values = section
    try:
        values[leaf] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise Mistake(f"--set {override}: {value!r} is not a YAML value") from None


def _explain(model: type[BaseModel], where: str, tree: yaml.Node | None, error: Any) -> str:
    path = [str(part) for part in error["loc"] if part != "[key]"]  # pydantic's word for the key itself
    if error["type"] != "extra_forbidden":
        message = error["msg"].removeprefix("Value error, ")
        return f"{_place(where, tree, path)}: {message[0].lower()}{message[1:]}"
    known = _fields_at(model, path[:-1])
    nearest = difflib.get_close_matches(path[-1], known, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known here: {', '.join(known)}"
    return f"{_line(where, tree, path)}: unknown key {'.'.join(path)!r}; {hint}"


def _place(where: str, tree: yaml.Node | None, place: Sequence[str | int]) -> str:
    """File, line and key of what is at `place`."""
    path = [str(part) for part in place]
    return f"{_line(where, tree, path)}: {'.'.join(path)}"


def _line(where: str, tree: yaml.Node | None, path: list[str]) -> str:
    """File and line, as far as there is one."""
    line = _line_of(tree, path)
    return f"{where}:{line}" if line else where


def _line_of(tree: yaml.Node | None, path: list[str]) -> int | None:
    """The line of the deepest part of `path` that stands in the file, counted from 1."""
    line: int | None = None
    node = tree
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and part.isdigit() and int(part) < len(node.value):
            found = (node.value[int(part)],) * 2
        else:
            found = None
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    section: type[BaseModel] = model
    parts = iter(path)
    for part in parts:
        section, chosen = next(_sections(section.model_fields[part].annotation))
        for _ in range(chosen):  # a place in a list, or a name in a mapping: the user's, not the section's
            next(parts, None)
    return list(section.model_fields)


def _sections(annotation: Any, chosen: int = 0) -> Iterator[tuple[type[BaseModel], int]]:
    """The sections that a field's type is made of, each with how many lists and mappings it lies in."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, chosen
    container = isinstance(get_origin(annotation), type) and issubclass(get_origin(annotation), Collection)
    for inner in getattr(annotation, "__args__", ()):
        yield from _sections(inner, chosen + container)
