"""A typed Python client of one model: a module to download, which needs tritonclient and nothing of the gateway."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.repository.catalog import Entry
from gateway.repository.description import Tensor
from gateway.repository.examples.client_text import MODULE
from gateway.repository.examples.names import class_name, identifiers
from gateway.repository.examples.python import DTYPES
from gateway.repository.examples.values import example_values

_OF_THE_MODULE = ("self", "np", "npt", "Any", "Final", "Literal", "Self", "TracebackType", "dataclass", "importlib")


def python_client(entry: Entry, http: str = "localhost:8080", grpc: str = "localhost:8081") -> str:
    """The text of the module.

    Args:
        entry: the model; its signature must be known.
        http: HOST:PORT of the gateway's HTTP front end, as the default.
        grpc: HOST:PORT of its gRPC front end, as the default.
    """
    name = class_name(entry.name)
    reserved = (*_OF_THE_MODULE, name, f"{name}Result")
    arguments = identifiers((tensor.name for tensor in entry.inputs), reserved, "input")
    fields = identifiers((tensor.name for tensor in entry.outputs), reserved, "output")
    required = [tensor for tensor in entry.inputs if not tensor.optional]
    optional = [tensor for tensor in entry.inputs if tensor.optional]
    version = f", as of version {entry.version}" if entry.version else ""
    return MODULE.substitute(
        title=_in_docstring(f"A client of the model {entry.name}{version}."),
        bfloat="# BF16 arrays are of the type `ml_dtypes.bfloat16`.\n" if _has_bfloat(entry) else "",
        model=_text(entry.name),
        name=name,
        http=_text(http),
        grpc=_text(grpc),
        inputs=_table(entry.inputs),
        outputs=_lines(f"    {_text(tensor.name)}," for tensor in entry.outputs),
        attributes=_described(entry.outputs, fields, entry, "        "),
        fields=_lines(f"    {fields[tensor.name]}: {_type(tensor)}" for tensor in entry.outputs),
        parameters=_lines(
            [f"        {arguments[tensor.name]}: {_type(tensor)}," for tensor in required]
            + [f"        {arguments[tensor.name]}: {_type(tensor)} | None = None," for tensor in optional]
        ),
        arguments=_described(entry.inputs, arguments, entry, "            "),
        passed=_lines(f"                {_text(tensor.name)}: {arguments[tensor.name]}," for tensor in entry.inputs),
        taken=_lines(f"            {fields[t.name]}=arrays[{_text(t.name)}]," for t in entry.outputs),
        example=_lines(_example(entry, arguments, fields, name)),
    )


def _example(entry: Entry, arguments: dict[str, str], fields: dict[str, str], name: str) -> Iterable[str]:
    yield f"    with {name}() as model:"
    yield "        result = model.infer("
    for value in example_values(entry):
        element = '"text"' if value.datatype == "BYTES" else "1"
        yield f"            {arguments[value.name]}=np.full({value.shape}, {element}, dtype={DTYPES[value.datatype]}),"
    yield "        )"
    if fields:
        yield f"        print(result.{next(iter(fields.values()))})"


def _table(tensors: Iterable[Tensor]) -> str:
    rows = []
    for tensor in tensors:
        dtype = _text(DTYPES[tensor.datatype].split(".")[1].rstrip("_"))
        rows.append(f"    {_text(tensor.name)}: ({_text(tensor.datatype)}, {dtype}, {_tuple(tensor.shape)}),")
    return _lines(rows)


def _described(tensors: Iterable[Tensor], names: dict[str, str], entry: Entry, indent: str) -> str:
    """One line a tensor for a docstring."""
    lines = []
    for tensor in tensors:
        sizes = ["any" if size < 0 else str(size) for size in tensor.shape]
        if entry.batches and sizes:
            sizes[0] = "batch"
        shape = f"[{', '.join(sizes)}]" if sizes else "a single value"
        known_as = "" if names[tensor.name] == tensor.name else f" The model calls it {tensor.name!a}."
        may = " It may be left out." if tensor.optional else ""
        line = f"{names[tensor.name]}: {tensor.datatype} {shape}.{known_as}{may}"
        lines.append(indent + _in_docstring(line))
    return _lines(lines)


def _type(tensor: Tensor) -> str:
    return "npt.NDArray[Any]" if tensor.datatype == "BF16" else f"npt.NDArray[{DTYPES[tensor.datatype]}]"


def _has_bfloat(entry: Entry) -> bool:
    return any(tensor.datatype == "BF16" for tensor in (*entry.inputs, *entry.outputs))


def _tuple(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def _text(text: str) -> str:
    """A string literal of ASCII, in double quotes where it needs no escapes."""
    return f'"{text}"' if re.fullmatch(r"[ !#-\[\]-~]*", text) else ascii(text)


def _in_docstring(text: str) -> str:
    """Text that cannot end a docstring, nor escape anything in it."""
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)
