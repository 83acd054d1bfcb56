"""TorchScript: tells neither the datatypes nor the shapes of what it takes, so a person or a sample has to."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.core.errors import ModelRefused
from gateway.repository.description import ANY, Description, Hints, Tensor
from gateway.repository.kinds.base import Target
from gateway.repository.kinds.hinted import batching, corrected
from gateway.repository.kinds.probe import Probed, guesses, probe
from gateway.repository.kinds.specs import refused
from gateway.repository.kinds.torch_runner import ModuleRunner
from gateway.repository.sample_file import inputs_of, read_sample

if TYPE_CHECKING:
    from backends.pytorch.naming import Argument
    from gateway.repository.kinds.base import Array

_FILENAME = "model.pt"
_SUFFIXES = frozenset({".pt", ".pth", ".ts", ".jit", ".torchscript"})

_CHECKPOINT = (
    "'{name}' is what torch.save writes. It holds weights, but not the network, and opening it runs whatever code is "
    "in it. Where the model's code is, do one of these, and drop the result:\n"
    "    torch.jit.script(model.eval()).save('{stem}.pt')\n"
    "    torch.jit.trace(model.eval(), example).save('{stem}.pt')\n"
    "    torch.export.save(torch.export.export(model.eval(), (example,)), '{stem}.pt2')"
)

_TAKEN = (
    "the first dimension of the sample was taken as the batch, as the model runs with others; say batches: false if it "
    "is none"
)
_ALWAYS = "every input was taken to have the sample's shape always; give shapes with -1 for what may vary"


class TorchScriptKind:
    """What `torch.jit.save` wrote, served by the backend `pytorch`."""

    name = "torchscript"
    title = "TorchScript"

    def recognise(self, source: Path) -> bool:
        """A file with one of the suffixes of PyTorch; what is no TorchScript inside is refused with a reason."""
        return source.suffix.lower() in _SUFFIXES and source.is_file()

    def companions(self, source: Path) -> tuple[Path, ...]:  # noqa: ARG002 - a module is one file
        """None."""
        return ()

    def prepare(self, source: Path, target: Target, hints: Hints) -> Description:
        """Copy the module, and find out its outputs by running it.

        Raises:
            ModelRefused: it is a checkpoint, nobody said what it takes, or it fails on what was said.
        """
        _refuse_checkpoint(source)
        with refused(source):
            module, arguments = _open(source)
        inputs = _said_inputs(source, arguments, hints)
        runner = ModuleRunner(module, arguments, inputs)
        found = _find_out(runner, inputs, hints)
        outputs = _named(runner, found.probed.shapes, hints.outputs)
        shutil.copyfile(source, target.version / _FILENAME)
        return Description(
            kind=self.name,
            backend="pytorch",
            framework="pytorch",
            inputs=found.inputs,
            outputs=outputs,
            batches=batching(hints, found.inputs, outputs) if hints.batches else found.probed.batches,
            filename=_FILENAME,
            size_bytes=source.stat().st_size,
            ambiguous=(*found.ambiguous, *_by_position(found.inputs, arguments)),
            origin={"format": self.title},
        )

    def reference(self, version: Path, description: Description, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """What `forward` gives."""
        module, arguments = _open(version / description.filename)
        runner = ModuleRunner(module, arguments, description.inputs)
        results = runner(inputs)
        names = [tensor.name for tensor in description.outputs]
        if runner.keyed:
            return {name: results[name] for name in names}
        return {name: results[f"OUTPUT__{position}"] for name, position in _positions(names).items()}


def _refuse_checkpoint(source: Path) -> None:
    from backends.pytorch.archive import archive_kind  # noqa: PLC0415 - only the sandbox has the backends on its path

    if _is_checkpoint(source):
        raise ModelRefused(_CHECKPOINT.format(name=source.name, stem=source.stem))
    with refused(source):
        if archive_kind(source) == "exported":
            raise ModelRefused(
                f"'{source.name}' is an exported program; rename it to '{source.stem}.pt2' and drop it again"
            )


def _is_checkpoint(source: Path) -> bool:
    try:
        with zipfile.ZipFile(source) as archive:
            names = {name.partition("/")[2] for name in archive.namelist()}
    except zipfile.BadZipFile:
        with source.open("rb") as file:
            return file.read(1) == b"\x80"  # a pickle, as torch.save wrote before version 1.6
    return "data.pkl" in names and not any(name.startswith("code/") for name in names)


def _open(path: Path) -> tuple[Any, list[Argument]]:
    from backends.pytorch import settings, torchscript  # noqa: PLC0415 - only the sandbox has the backends on its path

    module = torchscript.open_module(settings.import_torch(), path, "cpu")
    return module, torchscript.arguments(module)


def _said_inputs(source: Path, arguments: Sequence[Argument], hints: Hints) -> tuple[Tensor, ...]:
    if not arguments:
        raise ModelRefused(f"forward of '{source.name}' takes nothing, and Triton serves only models with an input")
    from_sample = inputs_of(hints.sample, batches=hints.batches) if hints.sample else ()
    known = {tensor.name: tensor for tensor in from_sample}
    inputs = tuple(_completed(tensor, known.get(tensor.name)) for tensor in hints.inputs) or from_sample
    if not inputs or not all(tensor.datatype for tensor in inputs):
        raise ModelRefused(_what_to_say(source, arguments))
    return inputs


def _completed(said: Tensor, known: Tensor | None) -> Tensor:
    if known is None:
        return said
    return replace(said, datatype=said.datatype or known.datatype, shape=said.shape or known.shape)


def _what_to_say(source: Path, arguments: Sequence[Argument]) -> str:
    takes = ", ".join(f"{argument.name}: {argument.kind}" for argument in arguments)
    count = "1 argument" if len(arguments) == 1 else f"{len(arguments)} arguments"
    examples = [_example(argument) for argument in arguments]
    lines = "\n".join(
        f"      - {{name: {name}, datatype: {datatype}, shape: [{dims}]}}" for name, datatype, dims in examples
    )
    options = " ".join(f"--input {name}:{datatype}:{dims.replace(' ', '')}" for name, datatype, dims in examples)
    arrays = ", ".join(f"{argument.name}=..." for argument in arguments)
    return (
        "TorchScript does not tell the datatypes and shapes of what it takes: forward takes "
        f"{count} ({takes}). Say them in one of three ways, with -1 for a dimension of any size, such as the batch:\n"
        f"  1. a file '{source.stem}.yaml' beside '{source.name}' (put the real datatypes and shapes in):\n"
        f"    inputs:\n{lines}\n"
        f"  2. on the command line: {options}\n"
        f"  3. a sample of the inputs beside it: numpy.savez('{source.stem}.npz', {arrays})"
    )


def _example(argument: Argument) -> tuple[str, str, str]:
    datatype = {"List[str]": "BYTES", "int": "INT64", "float": "FP32", "bool": "BOOL"}.get(argument.kind, "FP32")
    dims = {"Tensor": "-1, 3, 224, 224", "List[str]": "-1"}.get(argument.kind, "-1, 1")
    return argument.name, datatype, dims


@dataclass(frozen=True, slots=True)
class _Found:
    """The inputs as they are served, what running the module on them told, and what was only taken as likely."""

    inputs: tuple[Tensor, ...]
    probed: Probed
    ambiguous: tuple[str, ...] = ()


def _find_out(runner: ModuleRunner, inputs: tuple[Tensor, ...], hints: Hints) -> _Found:
    is_batch = hints.batches is not False

    def run(tensors: tuple[Tensor, ...], *, first_is_batch: bool) -> Probed:
        guessed = map(runner.uniform, guesses(tensors, batches=first_is_batch))
        samples = [read_sample(hints.sample, tensors)] if hints.sample else guessed
        return probe(runner, tensors, samples, first_is_batch=first_is_batch)

    shown = hints.sample is not None and inputs == inputs_of(hints.sample, batches=hints.batches)
    if not shown or hints.batches is not None:
        probed = run(inputs, first_is_batch=is_batch)
        return _Found(inputs, probed, () if hints.batches is not None else _doubts(inputs, probed))
    with suppress(ModelRefused):  # then the model takes only the size of the sample
        probed = run(inputs, first_is_batch=True)
        return _Found(inputs, probed, (_TAKEN,) if probed.batches else _doubts(inputs, probed))
    fixed = inputs_of(hints.sample, batches=False) if hints.sample else inputs
    return _Found(fixed, run(fixed, first_is_batch=False), (_ALWAYS,))


def _doubts(inputs: Sequence[Tensor], probed: Probed) -> tuple[str, ...]:
    if probed.mixes_rows:
        return (
            "the rows of the first dimension depend on each other, so requests are not batched; say batches: true if "
            "it is a batch nevertheless",
        )
    if not probed.batches and all(tensor.shape[:1] == (ANY,) for tensor in inputs):
        return ("the outputs do not have the inputs' first dimension, so requests are not batched",)
    return ()


def _named(runner: ModuleRunner, shapes: Mapping[str, tuple[int, ...]], said: Sequence[Tensor]) -> tuple[Tensor, ...]:
    known = tuple(Tensor(name, runner.datatypes[name], shape) for name, shape in shapes.items())
    if runner.keyed or not said:
        return corrected("output", known, said)
    positions = _positions([tensor.name for tensor in said])
    if max(positions.values()) >= len(known):
        raise ModelRefused(f"{len(said)} outputs were said, but forward returns {len(known)}; say no more than those")
    chosen = tuple(replace(known[positions[tensor.name]], name=tensor.name) for tensor in said)
    return corrected("output", chosen, said)


def _positions(names: Sequence[str]) -> dict[str, int]:
    from backends.pytorch.naming import bind_outputs  # noqa: PLC0415 - only the sandbox has the backends on its path

    return bind_outputs(names)


def _by_position(inputs: Sequence[Tensor], arguments: Sequence[Argument]) -> tuple[str, ...]:
    from backends.pytorch.naming import indices_of  # noqa: PLC0415 - only the sandbox has the backends on its path

    names = [argument.name for argument in arguments]
    if (
        indices_of([tensor.name for tensor in inputs]) is not None
        or all(tensor.name in names for tensor in inputs)
        or arguments[0].kind == "Dict[str, Tensor]"
    ):
        return ()
    return (
        f"the inputs {', '.join(tensor.name for tensor in inputs)} go to the arguments {', '.join(names)} of forward "
        "by their place; name them like the arguments to be sure",
    )
