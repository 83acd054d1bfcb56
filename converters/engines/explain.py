"""From what a builder says went wrong to an error that names the node and the way out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from converters.engines.base import BuildOptions
from converters.engines.messages import Messages, clean
from converters.errors import ConversionError, OutOfResources, Place, ToolMissing, Unsupported

_SHOWN_NODES = 5
_ELSEWHERE = "write it with standard ONNX operators when you export the model, or serve the ONNX model itself"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a builder said that is known, and what it had been asked for."""

    match: re.Match[str]
    options: BuildOptions


def _workspace(seen: _Seen) -> ConversionError:
    given = (
        f"'workspace_mib: {seen.options.workspace_mib}'" if seen.options.workspace_mib else "the builder's own limit"
    )
    return OutOfResources(
        f"a layer needs more device memory than {given} allows", hint="raise 'workspace_mib', or leave it out"
    )


def _memory(seen: _Seen) -> ConversionError:
    size = re.search(r"Requested size was (\d+) bytes", seen.match.string)
    if size and seen.options.workspace_mib is not None and int(size.group(1)) >= seen.options.workspace_mib << 20:
        return _workspace(seen)
    asked = f" (it asked for {int(size.group(1)) >> 20} MiB more)" if size else ""
    return OutOfResources(
        f"the builder ran out of memory{asked}",
        hint="build fewer engines at a time, for a smaller largest batch, or take a machine with more memory",
    )


def _turing(seen: _Seen) -> ConversionError:
    return Unsupported(
        f"sm_75 cannot run this node: {seen.match.group(2)}",
        hint="build FP16 for sm_75, or leave 75 out of compute_capabilities",
        place=Place(node=seen.match.group(1)),
    )


def _hardware_type(seen: _Seen) -> ConversionError:
    targets = re.sub(r"sm(\d)", r"sm_\1", seen.match.group(1))
    return Unsupported(
        f"{targets} does not have the type {seen.match.group(2)}, which the model computes with",
        hint="take another precision for these targets, or leave them out of compute_capabilities",
    )


def _contradiction(_: _Seen) -> ConversionError:
    return Unsupported(
        "the profile gives different sizes to dimensions that the model says are the same",
        hint="give dimensions with the same name the same min, opt and max",
    )


def _driver(_: _Seen) -> ConversionError:
    return ToolMissing(
        "this build needs a GPU with a driver that is new enough, and there is none",
        hint="name the targets (compute_capabilities) to build without a GPU, or build where there is one",
    )


_KNOWN = tuple(
    (re.compile(pattern, re.DOTALL), error)
    for pattern, error in (
        (r"target\(s\) ([\w, ]+?), because the model contains HW-specific datatypes: ([\w, ]+)", _hardware_type),
        (r"Cannot compile operation '(.+?)' for Turing \(SM75\): (.+?)\.? In ", _turing),
        (r"within workspace limit|Requested size was 0|workspace memory greater than 0", _workspace),
        (r"OutOfMemory|std::bad_alloc|out of memory|could not be allocated|Resource temporarily unavailable", _memory),
        (r"contradictory IOptimizationProfile", _contradiction),
        (r"Cuda Runtime .*(?:cudaError|driver|no CUDA-capable)", _driver),
    )
)


def build_error(messages: Messages, options: BuildOptions) -> ConversionError:
    """Why nothing was built."""
    for pattern, error in _KNOWN:
        match = pattern.search(messages.text)
        if match:
            return error(_Seen(match, options))
    said = "; ".join(text for text in map(clean, messages.errors) if text)
    return Unsupported(
        f"the builder gave up: {said}" if said else "the builder gave up and did not say why",
        hint="simplify the model around what it names, or try another precision, target or optimization_level",
    )


def parse_error(parser: Any, domains: dict[str, str]) -> ConversionError:
    """Why the parser refused a model: every node with its name and operator.

    Args:
        parser: of the library, with its errors.
        domains: of operators that are not ONNX's own, by operator.
    """
    told = [_parser_error(parser.get_error(index), domains) for index in range(parser.num_errors)]
    unique = list(dict.fromkeys(told))
    if not unique:
        return Unsupported("the parser refused the model and did not say why", hint="check it with onnx.checker")
    shown = [f"{node}: {why}" if len(unique) > 1 else why for node, why in unique[:_SHOWN_NODES]]
    more = f"; and {len(unique) - _SHOWN_NODES} more" if len(unique) > _SHOWN_NODES else ""
    hint = _ELSEWHERE if any(node for node, _ in unique) else "check the file with onnx.checker, or export it again"
    return Unsupported("; ".join(shown) + more, hint=hint, place=Place(node=unique[0][0] if len(unique) == 1 else ""))


def _parser_error(error: Any, domains: dict[str, str]) -> tuple[str, str]:
    operator, name, raw = str(error.node_operator()), str(error.node_name()), str(error.desc())
    node = f"{name} ({operator})" if name else operator
    if "Plugin not found" in raw:
        domain = domains.get(operator, "")
        of = f" of '{domain}'" if domain else ""
        return node, f"the builder knows no operator {operator}{of}, and no plugin for it is registered"
    said = clean(raw.removeprefix(f"Invalid Node - {name}"))
    if said in {"", "false"}:
        return node, f"the builder has no {operator or 'such operator'}"
    return node, said
