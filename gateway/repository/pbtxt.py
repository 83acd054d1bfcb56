"""The sections of a generated `config.pbtxt`, each as text with comments for the person who reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.repository.config_text import quoted
from gateway.repository.datatypes import in_config
from gateway.repository.description import Description, Tensor
from gateway.repository.hardware import Hardware
from gateway.repository.warmup import Warmup

_PREFERRED_BATCH = 4
_QUEUE_DELAY_MICROSECONDS = 100
_SMALL_BYTES = 50_000_000
_CORES_FOR_TWO = 4
# What one more process of these costs is little (50 to 70 MiB); others load a whole framework.
_LIGHT_BACKENDS = frozenset({"fil", "onnxruntime"})
_CPU_BACKENDS = frozenset({"fil", "openvino"})
_GPU_BACKENDS = frozenset({"tensorrt"})
_DEFAULT_FILENAMES = {
    "onnxruntime": "model.onnx",
    "openvino": "model.xml",
    "python": "model.py",
    "pytorch": "model.pt",
    "tensorflow": "model.savedmodel",
    "tensorrt": "model.plan",
}


def default_filename(backend: str) -> str:
    """The model file that the backend takes when the configuration names none; empty where that depends."""
    return _DEFAULT_FILENAMES.get(backend, "")


def max_batch_size(size: int) -> str:
    """The largest batch; 0 for none."""
    why = "of requests that wait at the same time" if size else "no batches: each request gives all dimensions"
    return f"max_batch_size: {size}  # {why}\n"


def tensors(section: str, each: Iterable[Tensor], *, batched: bool) -> str:
    """The inputs or outputs; `batched` takes the batch off their shapes."""
    entries = ",\n".join(_tensor(tensor, batched=batched) for tensor in each)
    note = "  # dims leave out the batch in front; -1 is any size" if batched and section == "input" else ""
    return f"{section} [{note}\n{entries}\n]\n"


def _tensor(tensor: Tensor, *, batched: bool) -> str:
    shape = tensor.shape[1:] if batched else tensor.shape
    lines = [f"name: {quoted(tensor.name)}", f"data_type: {in_config(tensor.datatype)}", f"dims: {_dims(shape)}"]
    if not shape and batched:  # Triton has no empty dims, and takes one away only behind a batch
        lines.append("reshape { shape: [ ] }  # to the model it is one plain value for each element of the batch")
    if tensor.optional:
        lines.append("optional: true")
    if tensor.labels:
        lines.append(f"label_filename: {quoted(tensor.labels)}")
    return "  {\n" + "".join(f"    {line}\n" for line in lines) + "  }"


def _dims(shape: tuple[int, ...]) -> str:
    return f"[ {', '.join(map(str, shape or (1,)))} ]"


def dynamic_batching(largest: int, hardware: Hardware) -> str:
    """How long requests wait for each other, and how many run together."""
    if hardware.gpus:
        return (
            "dynamic_batching {\n"
            f"  max_queue_delay_microseconds: {_QUEUE_DELAY_MICROSECONDS}  # a GPU gains more from a fuller batch\n"
            "}\n"
        )
    return (
        "dynamic_batching {\n"
        f"  preferred_batch_size: [ {min(_PREFERRED_BATCH, largest)} ]"
        "  # on a CPU larger batches only fall out of its caches\n"
        "}\n"
    )


def instance_group(description: Description, hardware: Hardware) -> str:
    """On what the model runs, and how often."""
    count, why = _instances(description, hardware)
    kind = "KIND_GPU" if description.backend in _GPU_BACKENDS else "KIND_AUTO  # a GPU where there is one, else the CPU"
    if description.backend in _CPU_BACKENDS:
        kind = "KIND_CPU"
    return f"instance_group [\n  {{\n    count: {count}  # {why}\n    kind: {kind}\n  }}\n]\n"


def _instances(description: Description, hardware: Hardware) -> tuple[int, str]:
    if description.backend in _GPU_BACKENDS or (hardware.gpus and description.backend not in _CPU_BACKENDS):
        return 1, "on each GPU; batches fill it"
    small = description.size_bytes < _SMALL_BYTES and description.backend in _LIGHT_BACKENDS
    if small and hardware.cores >= _CORES_FOR_TWO:
        return 2, f"a small model cannot fill {hardware.cores} cores alone, so two run side by side"
    return 1, "it uses all cores by itself, and each more would take the model's memory again"


def version_policy() -> str:
    """Which versions are served."""
    return "version_policy { latest { num_versions: 1 } }\n"


def parameters(values: Mapping[str, str]) -> str:
    """What the backend must know; nothing for nothing."""
    return "".join(
        f"parameters {{ key: {quoted(key)} value {{ string_value: {quoted(value)} }} }}\n"
        for key, value in sorted(values.items())
    )


def model_warmup(warmup: Warmup, largest: int) -> str:
    """The request that runs before the model takes traffic.

    A model that could batch and is configured not to (`largest` is 0) gets a batch of one, as part of its dims.
    """
    front = (1,) if warmup.batch_size and not largest else ()
    lines = ["  {\n", '    name: "sample"  # run at each load, before the model takes traffic\n']
    lines.append(f"    batch_size: {min(warmup.batch_size, largest) or 1}\n")
    for each in warmup.inputs:
        data = f"input_data_file: {quoted(each.filename)}" if each.filename else "zero_data: true"
        value = f"data_type: {in_config(each.datatype)} dims: {_dims((*front, *each.dims))} {data}"
        lines.append(f"    inputs {{ key: {quoted(each.name)} value {{ {value} }} }}\n")
    return "model_warmup [\n" + "".join(lines) + "  }\n]\n"
