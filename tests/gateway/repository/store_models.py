"""Small prepared models, and drops, for the tests of the store."""

from pathlib import Path

from gateway.repository.description import Check, Description, Prepared, Tensor

CONFIG = """name: "{name}"
backend: "onnxruntime"
max_batch_size: 0
# serves {content}
"""


def make_prepared(folder: Path, name: str, content: str) -> Prepared:
    """A complete model folder whose files say `content`."""
    (folder / "1" / "data").mkdir(parents=True)
    (folder / "config.pbtxt").write_text(CONFIG.format(name=name, content=content))
    (folder / "labels.txt").write_text("cat\ndog\n")
    (folder / "1" / "model.onnx").write_text(content)
    (folder / "1" / "data" / "weights.bin").write_text(f"weights of {content}")
    description = Description("onnx", "onnxruntime", "onnx", (Tensor("x", "FP32", (-1, 2)),), (), True, "model.onnx")
    return Prepared(folder, description, (Check("runs", "on a sample", 0.1),), ({"name": "x", "data": [1.0, 2.0]},))


def make_drop(repository: Path, name: str, content: str) -> list[Path]:
    """A dropped file and its sidecar."""
    paths = [repository / f"{name}.onnx", repository / f"{name}.yaml"]
    for path in paths:
        path.write_text(f"{path.suffix} of {content}")
    return paths
