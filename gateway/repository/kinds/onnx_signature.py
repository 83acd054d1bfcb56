"""What an ONNX model takes and gives, by its file, by ONNX Runtime, and where both leave it open by running it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.core.errors import ModelRefused
from gateway.repository import datatypes
from gateway.repository.description import ANY, Description, Hints, Tensor
from gateway.repository.kinds.hinted import UNKNOWN, batching, corrected, first_not_open, refuse_unknown_ranks
from gateway.repository.kinds.onnx_session import open_session, run
from gateway.repository.kinds.probe import Probed, guesses, probe
from gateway.repository.kinds.specs import folder_size
from gateway.repository.sample_file import read_sample
from gateway.repository.shapes import show

_A_LENGTH = re.compile(r"seq|len|time|step|frame|token|height|width", re.IGNORECASE)
_SAY = "say batches: true or false in model.yaml"


def describe(path: Path, hints: Hints) -> Description:
    """The model at `path`, with what the hints add.

    Raises:
        ModelRefused: it cannot be opened, or takes or gives what Triton cannot carry.
    """
    model, session = _parse(path), _opened(path)
    ranks = {
        value.name: value.type.tensor_type.HasField("shape") for value in (*model.graph.input, *model.graph.output)
    }
    required = corrected("input", [_tensor("input", node, ranks) for node in session.get_inputs()], hints.inputs)
    refuse_unknown_ranks("input", required)
    given = [_tensor("output", node, ranks) for node in session.get_outputs()]
    outputs = corrected("output", _with_ranks(session, required, given, hints), hints.outputs)
    refuse_unknown_ranks("output", outputs)
    inputs, left_out = _with_defaults(session, required, outputs, hints)
    batches, why = batching(hints, inputs, outputs), ""
    if hints.batches is None:
        batches, why = _look_at_batch(session, inputs, outputs, hints)
    domains = sorted((opset.domain or "ai.onnx", opset.version) for opset in model.opset_import)
    producer = f"{model.producer_name} {model.producer_version}".strip()
    return Description(
        kind="onnx",
        backend="onnxruntime",
        framework="onnx",
        inputs=tuple(_as_requested(tensor) for tensor in inputs),
        outputs=tuple(_as_requested(tensor) for tensor in outputs),
        batches=batches,
        filename=path.name,
        size_bytes=folder_size(path.parent),
        opset=", ".join(f"{domain} {version}" for domain, version in domains),
        ambiguous=tuple(note for note in (why, left_out) if note),
        origin={"format": "ONNX", **({"producer": producer} if producer else {})},
    )


def _parse(path: Path) -> Any:
    try:
        import onnx  # noqa: PLC0415 - only the sandbox imports frameworks
    except ImportError:
        raise ModelRefused("onnx is not installed; install the extra: pip install 'triton-gateway[onnx]'") from None
    try:
        return onnx.load_model(str(path), load_external_data=False)
    except Exception as error:  # protobuf's own, which differ by its implementation
        raise ModelRefused(f"this is not an ONNX model ({error}); export it again") from None


def _opened(path: Path) -> Any:
    """A session that sees the outputs as the backend's: optimising may settle sizes that the file leaves open."""
    session = open_session(path, optimised=False)
    named = {size for node in session.get_inputs() for size in node.shape if size is not None}
    settled = all(isinstance(size, int) or size in named for node in session.get_outputs() for size in node.shape)
    return session if settled else open_session(path, optimised=True)


def _tensor(side: str, node: Any, ranks: Mapping[str, bool]) -> Tensor:
    """A tensor as ONNX Runtime sees it; it tells a scalar and an unknown rank alike, so `ranks` says which is which."""
    try:
        datatype = datatypes.normalise(node.type.removeprefix("tensor(").removesuffix(")"))
    except ValueError:
        raise ModelRefused(
            f"{side} '{node.name}' is {node.type}, which Triton cannot carry: {_instead(node.type)}"
        ) from None
    shape = tuple(size if isinstance(size, int) and size >= 0 else ANY for size in node.shape)
    return Tensor(node.name, datatype, shape if shape or ranks.get(node.name, True) else UNKNOWN)


def _instead(kind: str) -> str:
    if kind.startswith("seq(map("):
        return (
            "export with skl2onnx.to_onnx(model, X, options={'zipmap': False}), which gives probabilities as a tensor"
        )
    if kind.startswith("tensor("):
        return "export it as a datatype that Triton has, such as float32 or int64"
    return "export the model so that it is a tensor (a sequence stacked to one, or as one output for each element)"


def _with_ranks(session: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor], hints: Hints) -> Sequence[Tensor]:
    """The outputs, with ranks that the file does not tell from a run."""
    if all(tensor.shape != UNKNOWN for tensor in outputs):
        return outputs
    try:
        shapes = _run(session, inputs, outputs, hints).shapes
    except ModelRefused:
        return outputs
    return [
        replace(tensor, shape=(ANY,) * len(shapes[tensor.name])) if tensor.shape == UNKNOWN else tensor
        for tensor in outputs
    ]


def _with_defaults(
    session: Any, required: Sequence[Tensor], outputs: Sequence[Tensor], hints: Hints
) -> tuple[Sequence[Tensor], str]:
    """The inputs with those that have a default in the model, unless these are what would keep it from batching."""
    defaults = [replace(_tensor("input", node, {}), optional=True) for node in session.get_overridable_initializers()]
    can_batch = first_not_open(required, outputs) is None and hints.batches is not False
    offered = [] if can_batch and first_not_open(defaults, ()) is not None else defaults
    names = [tensor.name for tensor in defaults if tensor not in offered]
    if not names:
        return [*required, *offered], ""
    shown = ", ".join([*names[:3], *(["..."] if len(names) > 3 else [])])
    return required, f"inputs with a default are left out, as they have no batch: {shown}; say batches: false for them"


def _look_at_batch(session: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor], hints: Hints) -> tuple[bool, str]:
    """Whether the model batches, and what that rests on where the model does not make it plain."""
    fixed = first_not_open(inputs, outputs)
    if fixed is not None:
        return False, _why_fixed(fixed, inputs, outputs)
    names = {node.shape[0] if node.shape else None for node in (*session.get_inputs(), *session.get_outputs())}
    name = names.pop() if len(names) == 1 else None
    if isinstance(name, str) and "batch" not in name.lower() and _A_LENGTH.search(name):
        return (
            False,
            f"the first dimension is called '{name}', so it was taken for a length and not for a batch: {_SAY}",
        )
    if isinstance(name, str):
        return True, ""
    try:
        ran = _run(session, inputs, outputs, hints)
    except ModelRefused:
        return True, f"the first dimension of each tensor was taken for the batch, as all are of any size: {_SAY}"
    why = "rows change each other's results" if ran.mixes_rows else "the outputs do not follow its size"
    return ran.batches, "" if ran.batches else f"the first dimension was not taken for a batch, since {why}: {_SAY}"


def _why_fixed(fixed: Tensor, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> str:
    """A note if the model looks as if it could batch, had it been exported otherwise."""
    if {tensor.shape[:1] for tensor in (*inputs, *outputs)} == {(1,)}:
        return "the first dimension is fixed to 1: the model can't batch; export it with a dynamic batch axis"
    if any(tensor.shape[:1] == (ANY,) for tensor in inputs):
        return f"the model can't batch, since '{fixed.name}' has the shape {show(fixed.shape)}, no batch in front"
    return ""


def _run(session: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor], hints: Hints) -> Probed:
    """What a few runs tell.

    Raises:
        ModelRefused: the model does not run on made-up values of any size that was tried.
    """
    names = [tensor.name for tensor in outputs]
    needed = tuple(tensor for tensor in inputs if not tensor.optional)
    samples = [read_sample(hints.sample, needed)] if hints.sample else guesses(needed, batches=True)
    return probe(lambda feed: run(session, feed, names), needed, samples)


def _as_requested(tensor: Tensor) -> Tensor:
    """Triton has no scalars: requests give one element, which ONNX Runtime takes for one."""
    return tensor if tensor.shape else replace(tensor, shape=(1,))
