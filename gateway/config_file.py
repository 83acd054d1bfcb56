"""How a YAML file becomes a typed configuration, and what a mistake in it is told as.

Unknown keys and wrong values are refused with the line they stand on and, for a misspelt key, the nearest valid name.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from gateway.core.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)


def read(model: type[Model], path: Path | None, overrides: tuple[str, ...] = ()) -> Model:
    """Read a configuration.

    Args:
        model: what the file is to say.
        path: a YAML file, or None for the defaults alone.
        overrides: `KEY=VALUE` pairs with dotted keys that win over the file, such as `http.port=9000`.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or says something that the gateway does not know.
    """
    text = _text(path) if path else ""
    where = str(path) if path else "configuration"
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{where}:{line}: this is not YAML: {error.problem}") from None
    _refuse_twice(where, tree)
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"{where}:1: expected keys such as `{next(iter(model.model_fields))}:`, found {type(values).__name__}"
        )
    for override in overrides:
        _override(values, override)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(model, where, tree, e) for e in error.errors())) from None


def _refuse_twice(where: str, node: yaml.Node | None) -> None:
    """YAML takes the last of two entries with one name, and forgets the first without a word."""
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise ConfigError(f"{where}:{line}: {key.value!r} stands in line {seen[key.value]} already; keep one")
            seen[key.value] = line
            _refuse_twice(where, value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_twice(where, value)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; name another with --config") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None


def _override(values: dict[str, Any], override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator:
        raise ConfigError(f"--set {override}: expected KEY=VALUE, for example http.port=9000")
    *parents, leaf = key.split(".")
    for parent in parents:
        section = values.get(parent)
        if section is None:
            section = values[parent] = {}
        if not isinstance(section, dict):
            raise ConfigError(f"--set {override}: {parent} is not a section")
        values = section
    try:
        values[leaf] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set {override}: {value!r} is not a YAML value") from None


def _explain(model: type[BaseModel], where: str, tree: yaml.Node | None, error: Any) -> str:
    path = [str(part) for part in error["loc"]]
    line = _line_of(tree, path)
    place = f"{where}:{line}" if line else where
    key = ".".join(path)
    if error["type"] != "extra_forbidden":
        message = error["msg"].removeprefix("Value error, ")
        return f"{place}: {key}: {message[0].lower()}{message[1:]}"
    known = _fields_at(model, path[:-1])
    nearest = difflib.get_close_matches(path[-1], known, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known here: {', '.join(known)}"
    return f"{place}: unknown key {key!r}; {hint}"


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
    section: Any = model
    for part in path:
        if not part.isdigit():  # the place in a list leads to the same section
            annotation = section.model_fields[part].annotation
            candidates = (annotation, *getattr(annotation, "__args__", ()))
            section = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return list(section.model_fields)
