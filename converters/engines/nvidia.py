"""What TensorRT and TensorRT for RTX have in common: one API, by which a network is parsed and built.

The library is passed in as a module. Both may live in one process, but the first logger that a library sees counts for
all its objects that live at that time; everything here is therefore let go of before a build returns.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from converters.engines import explain
from converters.engines.base import BuildOptions, Plan, Profile, Progress
from converters.engines.checks import check_model
from converters.engines.messages import Messages, logger_of
from converters.engines.monitor import STEPS, Tracker, monitor_of
from converters.engines.profiles import is_placeholder
from converters.errors import ConversionError, OutOfResources, ToolMissing, Unsupported
from converters.graph.signature import Signature, Tensor, signature_of

PROTOBUF_LIMIT = 2**31 - 2**20
"""Bytes of a model that can be handed over in memory; larger ones go through files."""

DATATYPES = {
    "FLOAT": "FP32", "HALF": "FP16", "BF16": "BF16", "INT8": "INT8", "INT32": "INT32", "INT64": "INT64",
    "BOOL": "BOOL", "UINT8": "UINT8",
}  # fmt: skip
"""The protocol's datatypes by what TensorRT calls them."""


@dataclass(frozen=True, slots=True)
class Library:
    """One of the two libraries.

    Attributes:
        module: `tensorrt` or `tensorrt_rtx`.
        name: as configurations say it.
        version: of it.
        configure: sets what only this library has in a builder's configuration, and may return what is to be done with
            that configuration once the build is over.
    """

    module: Any
    name: str
    version: str
    configure: Callable[[Any, BuildOptions, Messages], Callable[[Any], None] | None]


def build(
    library: Library,
    model: onnx.ModelProto,
    options: BuildOptions,
    progress: Progress,
    compute_capabilities: tuple[int, ...],
) -> Plan:
    """Build a plan.

    Args:
        library: that does it.
        model: typed ONNX.
        options: how.
        progress: is told the stages "read ONNX" and "build engine", the latter in percent.
        compute_capabilities: what the plan will run on.

    Raises:
        ConversionError: as `Builder.build` says.
    """
    check_model(model, signature_of(model), options, compute_capabilities)
    messages = Messages()
    started = time.perf_counter()
    try:
        with warnings.catch_warnings():
            # The bindings announce removals to come in Python's way; users can do nothing about them.
            warnings.simplefilter("ignore", DeprecationWarning)
            data, signature = _built(library, model, options, progress, messages)
    except (ConversionError, KeyboardInterrupt) as error:
        # Whoever keeps the error must not keep the builder, and with it the logger, alive through its traceback.
        raise error.with_traceback(None) from None
    except MemoryError:
        raise OutOfResources(
            "this machine has too little memory to build the engine",
            hint="build fewer engines at a time, or take a machine with more memory",
        ) from None
    return Plan(
        data=data,
        builder=library.name,
        version=library.version,
        compute_capabilities=compute_capabilities,
        signature=signature,
        profiles=options.profiles,
        seconds=time.perf_counter() - started,
        warnings=tuple(messages.warnings),
    )


def _built(
    library: Library, model: onnx.ModelProto, options: BuildOptions, progress: Progress, messages: Messages
) -> tuple[bytes, Signature]:
    trt = library.module
    logger, tracker = logger_of(trt, messages), Tracker(progress)
    builder = _builder(trt, logger)
    network = builder.create_network(_network_flags(trt))
    progress.stage("read ONNX")
    _parse(trt, network, logger, model)
    config = builder.create_builder_config()
    config.progress_monitor = monitor_of(trt, tracker)
    for profile in options.profiles:
        config.add_optimization_profile(_profile(builder, profile))
    _set_common(trt, config, options)
    finish = library.configure(config, options, messages)
    progress.stage("build engine", STEPS)
    serialized = builder.build_serialized_network(network, config)
    if tracker.ended_by is not None:
        raise tracker.ended_by
    if serialized is None:
        if "BuildCanceled" in messages.text:
            raise KeyboardInterrupt
        raise explain.build_error(messages, options)
    if finish is not None:
        finish(config)
    named = signature_of(model)
    built = _signature(network, named)
    for before, after in zip((*named.inputs, *named.outputs), (*built.inputs, *built.outputs), strict=True):
        if before.datatype != after.datatype:
            messages.warning(f"'{after.name}' is {before.datatype} in the model and {after.datatype} in the engine")
    return bytes(serialized), built


def _builder(trt: Any, logger: Any) -> Any:
    try:
        return trt.Builder(logger)
    except (TypeError, RuntimeError):  # what the bindings make of a null pointer
        raise ToolMissing(
            f"{trt.__name__} could not start: it found no GPU that it can use, or too old a driver",
            hint="look at what 'nvidia-smi' says, or build with 'tensorrt_rtx', which needs no GPU",
        ) from None


def _network_flags(trt: Any) -> int:
    """Strongly typed: the types of the ONNX graph are the engine's. From TensorRT 11 on there is nothing else."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _parse(trt: Any, network: Any, logger: Any, model: onnx.ModelProto) -> None:
    parser = trt.OnnxParser(network, logger)
    told_apart = _without_placeholders(model)
    if _bytes_of(told_apart) < PROTOBUF_LIMIT:
        parsed = parser.parse(told_apart.SerializeToString())
    else:
        parsed = _parse_file(parser, told_apart)
    if not parsed:
        raise explain.parse_error(parser, {node.op_type: node.domain for node in model.graph.node})


def _parse_file(parser: Any, model: onnx.ModelProto) -> bool:
    """Hand a model over whose weights are too many for one protobuf message, by way of files."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)  # saving moves the weights out of the model that it is given
    with tempfile.TemporaryDirectory(prefix="triton-convert-") as folder:
        path = Path(folder) / "model.onnx"
        try:
            onnx.save_model(copy, path, save_as_external_data=True, location="weights", size_threshold=1024)
        except OSError as error:
            raise OutOfResources(
                f"the model's weights could not be written to '{folder}': {error.strerror or error}",
                hint="free disk space there, or point TMPDIR to a larger disk",
            ) from None
        del copy
        return bool(parser.parse_from_file(str(path)))


def _bytes_of(model: onnx.ModelProto) -> int:
    return sum(len(each.raw_data) + 4 * len(each.float_data) for each in model.graph.initializer)


def _without_placeholders(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with inputs' dimensions unnamed that have no real name: builders take two "?" for the same size."""
    weights = {each.name for each in model.graph.initializer}
    dimensions = [
        dimension.dim_param
        for value in model.graph.input
        if value.name not in weights
        for dimension in value.type.tensor_type.shape.dim
        if dimension.dim_param
    ]
    if not any(is_placeholder(name) for name in dimensions):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for value in copy.graph.input:
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param and is_placeholder(dimension.dim_param):
                dimension.ClearField("dim_param")
    return copy


def _profile(builder: Any, profile: Profile) -> Any:
    made = builder.create_optimization_profile()
    for name, shape in profile.items():
        made.set_shape(name, shape.min, shape.opt, shape.max)
    return made


def _set_common(trt: Any, config: Any, options: BuildOptions) -> None:
    """What both libraries heed."""
    if options.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib << 20)
    if options.optimization_level is not None:
        config.builder_optimization_level = options.optimization_level
    if options.strip_weights:
        config.set_flag(trt.BuilderFlag.STRIP_PLAN)
        config.set_flag(trt.BuilderFlag.REFIT_IDENTICAL)
    if options.tf32:
        config.set_flag(trt.BuilderFlag.TF32)
    else:
        config.clear_flag(trt.BuilderFlag.TF32)


def _signature(network: Any, named: Signature) -> Signature:
    """Inputs and outputs as the network has them, which is how the engine will, with the graph's names of sizes."""
    return Signature(
        inputs=tuple(_tensor(network.get_input(index), named.inputs) for index in range(network.num_inputs)),
        outputs=tuple(_tensor(network.get_output(index), named.outputs) for index in range(network.num_outputs)),
    )


def _tensor(tensor: Any, named: tuple[Tensor, ...]) -> Tensor:
    told = next((each.shape for each in named if each.name == tensor.name), None)
    sizes = tuple(tensor.shape)
    names = told if told is not None and len(told) == len(sizes) else ("",) * len(sizes)
    shape = tuple(size if size >= 0 else _text(name) for size, name in zip(sizes, names, strict=True))
    return Tensor(tensor.name, DATATYPES.get(tensor.dtype.name, ""), shape)


def _text(name: int | str) -> str:
    return name if isinstance(name, str) else ""


def unsupported_option(builder: str, option: str, why: str, *, hint: str) -> ConversionError:
    """That a builder does not take an option."""
    return Unsupported(f"{builder} does not take '{option}': {why}", hint=hint)
