"""Writes the `config.pbtxt` of a result: what its signature and its profiles say, and what the source's one keeps."""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from converters.engines.base import Profile
from converters.errors import Unsupported
from converters.graph.signature import Signature, Tensor
from converters.lazy import Source, value_of
from converters.publish.source_config import SourceConfig, parse

_MARKER = re.compile(r"# Written by triton-convert \(sha256 of what follows: ([0-9a-f]{64})\);[^\n]*\n")
_DEFAULT_FILES = {"tensorrt": "model.plan", "onnxruntime": "model.onnx"}
_DEFAULT_BATCH = 64  # as the gateway takes for a model that is dropped
_CPU_BATCH = 4  # larger batches only fall out of a CPU's caches
_QUEUE_DELAY = 100  # microseconds; a GPU gains more from a fuller batch


@dataclass(frozen=True, slots=True)
class ConfigFromSignature:
    """A configuration for Triton, complete, so that no backend is asked for the rest.

    Attributes:
        name: of the model, which is its folder's.
        signature: of what is served.
        backend: what serves it.
        files: the model file, or several plans, each with the compute capabilities that it is for.
        profiles: of a plan; they bound the batch, and `opt` gives the preferred sizes.
        max_batch_size: None takes the source's, or 64; never more than the profiles allow.
        source: of the model in the repository that it was made from; an empty one otherwise.
        lineage: where it comes from, for the person who reads the file.
    """

    name: str
    signature: Source[Signature]
    backend: Literal["tensorrt", "onnxruntime"]
    files: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    profiles: tuple[Profile, ...] = ()
    max_batch_size: int | None = None
    source: SourceConfig = field(default_factory=SourceConfig)
    lineage: str = ""

    def __call__(self) -> str:
        """The text.

        Raises:
            Unsupported: an input or output has no datatype that Triton can carry, or not even a number of dimensions.
        """
        signature = value_of(self.signature)
        largest = self._largest_batch(signature)
        sections = [
            f"name: {_quoted(self.name)}\n",
            f"backend: {_quoted(self.backend)}\n",
            *self._filenames(),
            f"max_batch_size: {largest}\n",
            _tensors("input", signature.inputs, self.source, batched=largest > 0),
            _tensors("output", signature.outputs, self.source, batched=largest > 0),
            *self._scheduling(largest),
            self._instances(),
            "version_policy { latest { num_versions: 1 } }\n",
            *_warmups(signature, self.source, largest),
        ]
        text = signed("".join(sections), self.lineage)
        parse(text, f"the configuration for {self.name}")
        return text

    def _largest_batch(self, signature: Signature) -> int:
        if not signature.batches:
            return 0
        wanted = self.source.max_batch_size if self.max_batch_size is None else self.max_batch_size
        if not self.profiles:
            return _DEFAULT_BATCH if wanted is None else wanted
        most = max(_batch(profile, "max") for profile in self.profiles)
        return most if wanted is None else min(wanted, most)

    def _filenames(self) -> Iterator[str]:
        default = _DEFAULT_FILES[self.backend]
        first = next(iter(self.files), default)
        if first != default:
            yield f"default_model_filename: {_quoted(first)}\n"
        if len(self.files) > 1:
            pairs = sorted((capability, name) for name, targets in self.files.items() for capability in targets)
            entries = (
                f"  {{ key: {_quoted(f'{capability // 10}.{capability % 10}')} value: {_quoted(name)} }}"
                for capability, name in pairs
            )
            yield "cc_model_filenames [  # by the GPU's compute capability\n" + ",\n".join(entries) + "\n]\n"

    def _scheduling(self, largest: int) -> Iterator[str]:
        for name, text in self.source.scheduling.items():
            yield _section(name, text)
        if largest <= 1 or "sequence_batching" in self.source.scheduling:
            return
        lines = self.source.dynamic_batching.splitlines()
        if self.backend == "tensorrt" and not any(line.startswith("max_queue_delay") for line in lines):
            lines.append(f"max_queue_delay_microseconds: {_QUEUE_DELAY}")
        if preferred := self._preferred(largest):
            lines.insert(0, f"preferred_batch_size: [ {', '.join(map(str, preferred))} ]")
        yield _section("dynamic_batching", "\n".join(lines))

    def _preferred(self, largest: int) -> list[int]:
        if self.backend == "onnxruntime":
            return [min(_CPU_BATCH, largest)]
        return sorted({size for profile in self.profiles if 1 < (size := _batch(profile, "opt")) <= largest})

    def _instances(self) -> str:
        kind = "KIND_GPU" if self.backend == "tensorrt" else "KIND_AUTO  # a GPU where there is one, else the CPU"
        numbers = ", ".join(_quoted(str(number)) for number in range(len(self.profiles)))
        # Without this the native backend uses the first profile only.
        profiles = f"\n    profile: [ {numbers} ]" if len(self.profiles) > 1 else ""
        return f"instance_group [\n  {{\n    count: 1\n    kind: {kind}{profiles}\n  }}\n]\n"


def signed(text: str, lineage: str = "") -> str:
    """The text below a line that tells whether somebody changed it since."""
    about = f"; made from {lineage}" if lineage else "; engine.json beside the model says where it comes from"
    return f"# Written by triton-convert (sha256 of what follows: {_sha256(text)}){about}\n{text}"


def is_ours(text: str) -> bool:
    """Whether a text is as `signed` gave it: not one that a person wrote or changed."""
    marker = _MARKER.match(text)
    return marker is not None and _sha256(text[marker.end() :]) == marker[1]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _batch(profile: Profile, which: Literal["opt", "max"]) -> int:
    """The batch of a profile: the least of its inputs'."""
    return min((getattr(allowed, which)[0] for allowed in profile.values() if allowed.max), default=0)


def _tensors(section: str, tensors: Sequence[Tensor], source: SourceConfig, *, batched: bool) -> str:
    entries = ",\n".join("  {\n" + "".join(_lines(section, each, source, batched=batched)) + "  }" for each in tensors)
    return f"{section} [\n{entries}\n]\n"


def _lines(section: str, tensor: Tensor, source: SourceConfig, *, batched: bool) -> Iterator[str]:
    if tensor.shape is None or not tensor.datatype:
        what = (
            "does not say how many dimensions it has" if tensor.shape is None else "has a datatype Triton cannot carry"
        )
        raise Unsupported(
            f"{section} {tensor.name!r} {what}", hint="export the model with fixed ranks and ordinary datatypes"
        ).at(step="publish", node=tensor.name)
    plain = [size if isinstance(size, int) else -1 for size in tensor.shape]
    dims = plain[1:] if batched else plain
    known = source.tensors.get(tensor.name)
    if known is not None and batched == bool(source.max_batch_size) and len(known.dims) == len(dims):
        # What the model leaves open and people fixed stays fixed.
        dims = [said if size == -1 else size for size, said in zip(dims, known.dims, strict=True)]
    yield f"    name: {_quoted(tensor.name)}\n"
    yield f"    data_type: TYPE_{'STRING' if tensor.datatype == 'BYTES' else tensor.datatype}\n"
    yield f"    dims: [ {', '.join(map(str, dims or [1]))} ]\n"
    if not dims and batched:  # Triton has no empty dims, and takes one away only behind a batch
        yield "    reshape { shape: [ ] }\n"
    if section == "output" and known is not None and known.labels in source.files:
        yield f"    label_filename: {_quoted(known.labels)}\n"


def _warmups(signature: Signature, source: SourceConfig, largest: int) -> Iterator[str]:
    """The source's warm-up requests that the result takes as they are."""
    inputs = {tensor.name: tensor.datatype for tensor in signature.inputs}
    for warmup in source.warmups:
        if warmup.inputs == inputs and warmup.batch_size <= max(1, largest):
            yield _section("model_warmup", warmup.text)


def _section(name: str, text: str) -> str:
    return f"{name} {{\n{textwrap.indent(text.strip(), '  ')}\n}}\n"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(_each(escaped)) + '"'


def _each(text: str) -> Iterable[str]:
    """What cannot be printed as octal, as the text format has it."""
    return (each if each.isprintable() else "".join(f"\\{byte:03o}" for byte in each.encode()) for each in text)
