"""A call with JavaScript's `fetch`, for Node 18 and later and for browsers."""

from __future__ import annotations

import json
from typing import Any

from gateway.repository.catalog import Entry
from gateway.repository.examples.values import NOT_IN_JSON, Value, example_values, requested_outputs

_LARGEST_SAFE = 2**53 - 1

_PLAIN = """\
async function infer(inputs) {{
  const response = await fetch({url}, {{
    method: "POST",
    headers: {{ "Content-Type": "application/json" }},
    body: JSON.stringify({{ inputs }}),
  }});
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer.outputs;
}}

infer([
{rows}
]).then((outputs) => console.log(outputs), console.error);
"""

# 16-bit numbers never travel as JSON: they follow it, and a header says where they begin.
_BINARY = """\
// 16-bit numbers travel as binary data behind the JSON.
async function infer(inputs) {{
  const binary = inputs.filter((input) => ArrayBuffer.isView(input.data));
  const described = inputs.map((input) =>
    binary.includes(input)
      ? {{ ...input, data: undefined, parameters: {{ binary_data_size: input.data.byteLength }} }}
      : input,
  );
  const head = new TextEncoder().encode(JSON.stringify({{ inputs: described{outputs} }}));
  const response = await fetch({url}, {{
    method: "POST",
    headers: {{
      "Content-Type": "application/octet-stream",
      "Inference-Header-Content-Length": String(head.byteLength),
    }},
    body: new Blob([head, ...binary.map((input) => input.data)]),
  }});
  const body = await response.arrayBuffer();
  let position = Number(response.headers.get("Inference-Header-Content-Length") ?? body.byteLength);
  const answer = JSON.parse(new TextDecoder().decode(body.slice(0, position)));
  if (!response.ok) throw new Error(answer.error);
  for (const output of answer.outputs) {{
    const size = output.parameters?.binary_data_size;
    if (size === undefined) continue;
    const bits = new Uint16Array(body.slice(position, (position += size)));
    output.data = Array.from(bits, output.datatype === "FP16" ? fromHalf : fromBfloat);
  }}
  return answer.outputs;
}}

function fromHalf(bits) {{
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}}

function fromBfloat(bits) {{
  return new Float32Array(new Uint32Array([bits << 16]).buffer)[0];
}}

infer([
{rows}
]).then((outputs) => console.log(outputs), console.error);
"""


def javascript_call(entry: Entry, http: str) -> str:
    """The call as a script, of which `infer` can be kept.

    Args:
        entry: the model; its signature must be known.
        http: HOST:PORT of the gateway's HTTP front end.
    """
    values, requested = example_values(entry), requested_outputs(entry)
    binary = requested or any(value.datatype in NOT_IN_JSON for value in values)
    outputs = f", outputs: {_literal(requested['outputs'])}" if requested else ""
    return (_BINARY if binary else _PLAIN).format(
        url=_literal(f"http://{http}/v2/models/{entry.name}/infer"),
        rows="\n".join(f"  {_input(value)}," for value in values),
        outputs=outputs,
    )


def _input(value: Value) -> str:
    name, shape, datatype = (_literal(part) for part in (value.name, list(value.shape), value.datatype))
    return f"{{ name: {name}, shape: {shape}, datatype: {datatype}, data: {_data(value)} }}"


def _data(value: Value) -> str:
    """An expression for the elements."""
    if value.datatype in NOT_IN_JSON:
        if value.data is None:
            return f"new Uint16Array({value.count})"
        packed = value.packed()
        bits = [f"0x{int.from_bytes(packed[start : start + 2], 'little'):04x}" for start in range(0, len(packed), 2)]
        numbers = ", ".join(f"{number:g}" for number in value.data)
        return f"new Uint16Array([{', '.join(bits)}]) /* {numbers} */"
    if value.data is not None:
        return _literal(value.nested() if not value.is_integer else _safe(value.nested()))
    if value.datatype == "BYTES":
        return f'Array({value.count}).fill("text")'
    element = f"{value.low:.6g} + Math.random() * {value.high - value.low:.6g}"
    if value.datatype == "BOOL":
        element = "Math.random() < 0.5"
    elif value.is_integer:
        low, high = _safe(value.low), _safe(value.high)
        element = f"Math.floor({low} + Math.random() * {high - low + 1})"
    return f"Array.from({{ length: {value.count} }}, () => {element})"


def _safe(number: Any) -> Any:
    """Whole numbers, also in nested lists, within what JavaScript's numbers hold exactly."""
    if isinstance(number, list):
        return [_safe(each) for each in number]
    return max(-_LARGEST_SAFE, min(number, _LARGEST_SAFE))


def _literal(value: Any) -> str:
    """A literal that cannot end a `<script>` element either."""
    return json.dumps(value).replace("</", "<\\/")
