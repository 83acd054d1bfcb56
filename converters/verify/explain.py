"""A gate that failed, told so that one knows where, and what can be done."""

from __future__ import annotations

from collections.abc import Mapping

from converters.errors import GateFailed, Place
from converters.precision.base import Precision
from converters.verify.base import Verdict

_SHOWN = 4  # failures that an error tells; reports have them all
_WAYS_OUT: Mapping[Precision, str] = {
    "fp32": "export it with another opset, or loosen the gate if the difference is harmless",
    "fp16": "{keep}, let the search find the nodes to keep, or try bf16",
    "bf16": "{keep}, let the search find the nodes to keep, or try fp16",
    "int8": "give more, or more typical, calibration data, calibrate by another method, or {keep}",
    "fp8": "give more, or more typical, calibration data, or {keep}",
}


def gate_failed(verdict: Verdict, precision: Precision) -> GateFailed:
    """The error for a verdict that did not pass: what failed worst, where the loss begins, and the way out."""
    told = [str(failure) for failure in verdict.failures[:_SHOWN]]
    if len(verdict.failures) > _SHOWN:
        told.append(f"and {len(verdict.failures) - _SHOWN} more")
    what = [f"it is not as good as the original: {'; '.join(told)}"]
    worst = verdict.worst_output
    if worst is not None:
        what.append(
            f"the worst output is '{worst.name}' (mean relative error {worst.mean_rel:.3g}, cosine {worst.cosine:.6f})"
        )
    layer = verdict.worst_layer
    if layer is not None:
        what.append(
            f"the loss begins at node '{layer.node}' ({layer.operator}), where the mean relative error is "
            f"{layer.mean_rel:.3g}"
        )
    keep = f"keep node '{layer.node}' in FP32" if layer else "keep the nodes that lose it in FP32"
    place = Place(step=f"gate {precision}", node=f"{layer.node} ({layer.operator})" if layer else "")
    return GateFailed("; ".join(what), hint=_WAYS_OUT[precision].format(keep=keep), place=place)
