"""A place for a kind to put a model, and our backends on it, for the tests of the kinds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backends.common.config import parse_config
from backends.common.placement import Placement
from gateway.repository.datatypes import in_config
from gateway.repository.description import Description, Hints, Tensor
from gateway.repository.kinds.base import Kind, Target


def prepare(kind: Kind, source: Path, folder: Path, hints: Hints | None = None) -> tuple[Path, Description]:
    """Have the kind prepare the model in a new folder.

    Returns:
        the version's folder, and the description.
    """
    target = Target(folder, folder / "1")
    target.version.mkdir(parents=True)
    return target.version, kind.prepare(source, target, hints or Hints())


def serve(backend: Any, version: Path, described: Description, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What one of our backends gives that is configured as described; `backend` is the module with its `load`."""
    front = 1 if described.batches else 0

    def entry(tensor: Tensor) -> dict[str, Any]:
        return {"name": tensor.name, "data_type": in_config(tensor.datatype), "dims": list(tensor.shape[front:])}

    config = parse_config(
        {
            "name": "model",
            "max_batch_size": 8 * front,
            "input": [entry(tensor) for tensor in described.inputs],
            "output": [entry(tensor) for tensor in described.outputs],
            "default_model_filename": described.filename,
            "parameters": {key: {"string_value": value} for key, value in described.parameters.items()},
        }
    )
    model = backend.load(version, config, Placement("CPU", 0))
    try:
        outputs: dict[str, Any] = model.run(inputs, [tensor.name for tensor in described.outputs])
        return outputs
    finally:
        model.close()
