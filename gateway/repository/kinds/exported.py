"""Programs of `torch.export` (`.pt2`): they tell their inputs and outputs, and which dimensions are of any size."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.core.errors import ModelRefused
from gateway.repository.datatypes import in_config
from gateway.repository.description import Description, Hints
from gateway.repository.kinds.base import Target
from gateway.repository.kinds.hinted import batching, corrected
from gateway.repository.kinds.specs import refused, tensors_of

if TYPE_CHECKING:
    from gateway.repository.kinds.base import Array

_FILENAME = "model.pt2"


class ExportedKind:
    """What `torch.export.save` wrote, served by the backend `pytorch`."""

    name = "exported"
    title = "PyTorch exported program"

    def recognise(self, source: Path) -> bool:
        """A file that ends in `.pt2`."""
        return source.suffix.lower() == ".pt2" and source.is_file()

    def companions(self, source: Path) -> tuple[Path, ...]:  # noqa: ARG002 - a program is one file
        """None."""
        return ()

    def prepare(self, source: Path, target: Target, hints: Hints) -> Description:
        """Copy the program, and read its signature.

        Raises:
            ModelRefused: it is no exported program, of another version of PyTorch, or takes or gives what is no tensor.
        """
        from backends.pytorch import archive, exported, settings  # noqa: PLC0415 - only the sandbox has the backends

        with refused(source):
            if archive.archive_kind(source) != "exported":
                raise ModelRefused(f"'{source.name}' is TorchScript; rename it to '{source.stem}.pt' and drop it again")
            program = exported.open_program(settings.import_torch(), source)
            signature = exported.signature(program)
        inputs = corrected("input", tensors_of("input", signature.inputs), hints.inputs)
        outputs = corrected("output", tensors_of("output", signature.outputs), hints.outputs)
        batches = batching(hints, inputs, outputs)
        doubt = _doubt(program, hints) if batches else ""
        shutil.copyfile(source, target.version / _FILENAME)
        return Description(
            kind=self.name,
            backend="pytorch",
            framework="pytorch",
            inputs=inputs,
            outputs=outputs,
            batches=batches and not doubt,
            filename=_FILENAME,
            size_bytes=source.stat().st_size,
            ambiguous=(doubt,) if doubt else (),
            origin={"format": self.title},
        )

    def reference(self, version: Path, description: Description, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """What the program gives when it is called as a function."""
        import torch  # noqa: PLC0415 - only the sandbox has it

        from backends.pytorch.values import array_of, tensor_of  # noqa: PLC0415 - only the sandbox has the backends

        program = torch.export.load(version / description.filename)
        types = {tensor.name: in_config(tensor.datatype) for tensor in (*description.inputs, *description.outputs)}
        tensors = {name: tensor_of(torch, array, types[name], "cpu") for name, array in inputs.items()}
        args, kwargs = torch.utils._pytree.tree_unflatten(
            [tensors[arg.name] if not hasattr(arg, "value") else arg.value for arg in _arguments(program)],
            program.call_spec.in_spec,
        )
        with torch.inference_mode():
            result = program.module()(*args, **kwargs)
        names = [tensor.name for tensor in description.outputs]
        values = result if isinstance(result, dict) else _numbered(torch.utils._pytree.tree_leaves(result))
        return {name: array_of(torch, name, values[name], types[name]) for name in names}


def _arguments(program: Any) -> list[Any]:
    return [spec.arg for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT"]


def _numbered(leaves: list[Any]) -> dict[str, Any]:
    return {f"OUTPUT__{position}": leaf for position, leaf in enumerate(leaves)}


def _doubt(program: Any, hints: Hints) -> str:
    """Why the first dimensions, all of them dynamic, are better not taken as one batch; empty if they are one."""
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    outputs = [spec.arg for spec in program.graph_signature.output_specs if spec.kind.name == "USER_OUTPUT"]
    tensors = [arg for arg in (*_arguments(program), *outputs) if not hasattr(arg, "value")]
    sizes = {str(values[arg.name].shape[0]) for arg in tensors}
    if len(sizes) > 1:
        if hints.batches:
            return ""
        return (
            "the first dimensions of the inputs and outputs are dynamic, but not the same one, so requests are not "
            "batched; say batches: true if they are, or export with one torch.export.Dim for all of them"
        )
    highest = {str(symbol): known.upper for symbol, known in program.range_constraints.items()}.get(sizes.pop())
    if highest is None:
        return "the batch was exported as a multiple of another number, so requests are not batched"
    bounded = str(highest) != "int_oo"
    if not bounded or (hints.max_batch_size is not None and hints.max_batch_size <= int(highest)):
        return ""
    return (
        f"the batch was exported for at most {highest} rows, so requests are not batched; say "
        f"max_batch_size: {highest} to have them batched up to that"
    )
