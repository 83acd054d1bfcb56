"""A call with curl, for bash.

Nothing is left to the shell to interpret: a short request is a quoted here-document, of which no line can be its end,
and everything else is quoted. A request with a long tensor is a file that awk or `head` fills.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from gateway.repository.catalog import Entry
from gateway.repository.examples.values import NOT_IN_JSON, Value, example_values, requested_outputs


def curl_call(entry: Entry, http: str) -> str:
    """The call as commands for bash.

    Args:
        entry: the model; its signature must be known.
        http: HOST:PORT of the gateway's HTTP front end.
    """
    values, outputs = example_values(entry), requested_outputs(entry)
    head = "-H 'Content-Type: application/json'"
    before, source, after = "", "-", ""
    if any(value.datatype in NOT_IN_JSON for value in values):
        text = json.dumps({"inputs": [_as_binary(value) for value in values]} | outputs)
        head = f"-H 'Content-Type: application/octet-stream' -H 'Inference-Header-Content-Length: {len(text)}'"
        source = f"{entry.name}.bin"
        before = _file([_printf(text), *(_blob(value) for value in values)], source)
    elif all(value.data is not None for value in values):
        after = f" <<'END'\n{_document(values, outputs)}\nEND"
    else:
        source = f"{entry.name}.json"
        before = _file(_pieces(values, outputs), source)
    url = shlex.quote(f"http://{http}/v2/models/{entry.name}/infer")
    call = f"{before}curl -sS {url} {head} --data-binary @{source}"
    if outputs:
        return f"# answer.bin: JSON, then the 16-bit outputs as little-endian numbers\n{call} -o answer.bin{after}\n"
    return f"{call}{after}\n"


def _document(values: Sequence[Value], outputs: dict[str, Any]) -> str:
    """The whole request as JSON, an input a line."""
    rows = ",\n  ".join(json.dumps(value.head() | {"data": value.nested()}) for value in values)
    return f'{{"inputs": [\n  {rows}\n]{_more(outputs)}}}'


def _pieces(values: Sequence[Value], outputs: dict[str, Any]) -> Iterator[str]:
    """Commands that print the request as JSON, piece by piece."""
    text = '{"inputs": ['
    for position, value in enumerate(values):
        text += ", " if position else ""
        if value.data is not None:
            text += json.dumps(value.head() | {"data": value.nested()})
        else:
            yield _printf(text + json.dumps(value.head())[:-1] + ', "data": [')
            yield _awk(value)
            text = "]}"
    yield _printf(f"{text}]{_more(outputs)}}}")


def _awk(value: Value) -> str:
    """A command that prints the elements of a long tensor."""
    if value.datatype == "BYTES":
        form, element = r"\"text\"", ""
    elif value.datatype == "BOOL":
        form, element = "%s", ', rand() < 0.5 ? "true" : "false"'
    elif value.is_integer:
        form, element = "%.0f", f", int({value.low} + rand() * {value.high - value.low + 1})"
    else:
        form, element = "%.6g", f", {value.low:.6g} + rand() * {value.high - value.low:.6g}"
    return f"""awk 'BEGIN {{ for (i = 0; i < {value.count}; i++) printf "%s{form}", (i ? "," : ""){element} }}'"""


def _blob(value: Value) -> str:
    """A command that prints a tensor as binary data."""
    if value.data is None:
        return f"head -c {value.size_bytes()} /dev/zero"
    return "printf '" + "".join(f"\\{byte:03o}" for byte in value.packed()) + "'"


def _as_binary(value: Value) -> dict[str, Any]:
    return value.head() | {"parameters": {"binary_data_size": value.size_bytes()}}


def _more(outputs: dict[str, Any]) -> str:
    return f', "outputs": {json.dumps(outputs["outputs"])}' if outputs else ""


def _printf(text: str) -> str:
    return f"printf %s {shlex.quote(text)}"


def _file(commands: Iterator[str] | Sequence[str], name: str) -> str:
    """Commands whose output makes up a file."""
    lines = "\n".join(f"  {command}" for command in commands)
    return f"{{\n{lines}\n}} > {name}\n"
