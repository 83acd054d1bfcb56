"""ONNX made smaller and clearer: constants folded, nodes fused and named, dimensions named, every shape inferred."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import onnx

from converters.errors import BadSource, ConversionError, Unsupported
from converters.graph.dimensions import with_named_dimensions
from converters.graph.names import name_nodes
from converters.graph.opset import refuse_unknown_operators
from converters.graph.shapes import is_large
from converters.graph.signature import Signature, Tensor, signature_of
from converters.lazy import Source, value_of
from converters.to_onnx.frameworks import framework, one_line, quiet

STEP = "simplify"
NOTE = "triton-convert.simplified"
"""The model's metadata property that tells what simplified it, or why nothing did."""


@dataclass(frozen=True, slots=True)
class SimplifiedFromOnnx:
    """The model simplified by onnxslim, with named nodes and dimensions and with all shapes that can be inferred.

    Where onnxslim fails, or changes what the model takes and gives (a dynamic batch above all), the model is left
    unsimplified; a log line and the property `NOTE` of the model's metadata say so.

    Attributes:
        model: the model, which is left as it is.

    Raises:
        Unsupported: it has operators that nothing knows, or an input or output whose number of dimensions is not known.
        BadSource: it is no valid ONNX.
        ToolMissing: onnxslim is not installed.
    """

    model: Source[onnx.ModelProto]

    def __call__(self) -> onnx.ModelProto:
        """Name, simplify, infer, check."""
        source = value_of(self.model)
        refuse_unknown_operators(source, step=STEP)
        _refuse_dynamic_rank("input", signature_of(source).inputs)
        named = with_named_dimensions(source)
        _refuse_dynamic_rank("output", signature_of(named).outputs)
        name_nodes(named)
        _check(named)
        try:
            result, note = _slimmed(named)
        except ConversionError as error:
            if not isinstance(error, _Spoilt):
                raise
            logging.getLogger(__name__).warning("the model is left unsimplified: %s", error.what)
            result, note = named, f"no: {error.what}"
        onnx.helper.set_model_props(result, {**_properties(source), NOTE: note})
        return result


class _Spoilt(ConversionError):
    """onnxslim failed, or gave another model."""


def note_of(model: onnx.ModelProto) -> str:
    """What simplified the model, such as "onnxslim 0.1.98", or "no: ..." and why not; empty if nobody tried."""
    return _properties(model).get(NOTE, "")


def _slimmed(model: onnx.ModelProto) -> tuple[onnx.ModelProto, str]:
    if is_large(model):
        raise _Spoilt("it is larger than 2 GB", hint="serve it as it is")
    onnxslim = framework("onnxslim", extra="convert", attribute="slim")
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    try:
        with quiet():
            slim = onnxslim.slim(copy)
        slim = with_named_dimensions(slim)
        name_nodes(slim)
        _check(slim)
    except Exception as error:  # it raises whatever went wrong in one of its patterns
        raise _Spoilt(f"onnxslim fails on it: {one_line(error)}", hint="serve it as it is") from None
    difference = _difference(signature_of(model), signature_of(slim))
    if difference:
        raise _Spoilt(f"onnxslim changes {difference}", hint="serve it as it is")
    return slim, f"onnxslim {onnxslim.__version__}"


def _check(model: onnx.ModelProto) -> None:
    if is_large(model):
        return  # the checker takes such a model only as a file
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise BadSource(f"the model is no valid ONNX: {one_line(error)}", hint="export it again").at(
            step=STEP
        ) from None


def _refuse_dynamic_rank(side: str, tensors: tuple[Tensor, ...]) -> None:
    for tensor in tensors:
        if tensor.shape is None:
            raise Unsupported(
                f"{side} '{tensor.name}' may have any number of dimensions",
                hint="export the model with a shape for it; single dimensions may stay open",
            ).at(step=STEP)


def _difference(before: Signature, after: Signature) -> str:
    """What changed that matters; empty if nothing did. Outputs may have become known more precisely."""
    if before.inputs != after.inputs:
        return f"the inputs from {_listed(before.inputs)} to {_listed(after.inputs)}"
    same = [output.name for output in before.outputs] == [output.name for output in after.outputs]
    if same and all(_refines(old, new) for old, new in zip(before.outputs, after.outputs, strict=True)):
        return ""
    return f"the outputs from {_listed(before.outputs)} to {_listed(after.outputs)}"


def _refines(old: Tensor, new: Tensor) -> bool:
    if old.datatype != new.datatype:
        return False
    if old.shape is None:
        return True
    if new.shape is None or len(old.shape) != len(new.shape):
        return False
    batch_kept = not old.shape or isinstance(old.shape[0], int) or isinstance(new.shape[0], str)
    return batch_kept and all(a == b for a, b in zip(old.shape, new.shape, strict=True) if isinstance(a, int))


def _listed(tensors: tuple[Tensor, ...]) -> str:
    return "; ".join(str(tensor) for tensor in tensors)


def _properties(model: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in model.metadata_props}
