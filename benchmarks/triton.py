"""The embedded Triton as an upstream of the measurements, with the models that they need."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.service import Service, free_ports

_ROOT = Path(__file__).parents[1]
_MODEL = """import triton_python_backend_utils as pb


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        return pb.InferenceResponse([pb.Tensor("OUT", pb.get_input_tensor_by_name(request, "IN").as_numpy())])
"""
_CONFIG = """name: "identity"
backend: "python"
max_batch_size: 0
input [ { name: "IN" data_type: TYPE_UINT8 dims: [ -1 ] } ]
output [ { name: "OUT" data_type: TYPE_UINT8 dims: [ -1 ] } ]
instance_group [ { count: 1 kind: KIND_CPU } ]
"""


def write_identity(repository: Path) -> None:
    """Put the model `identity` into a repository: bytes in (`IN`), the same bytes out (`OUT`)."""
    version = repository / "identity" / "1"
    version.mkdir(parents=True, exist_ok=True)
    (version / "model.py").write_text(_MODEL)
    (version.parent / "config.pbtxt").write_text(_CONFIG)


_ONE_THREAD = """parameters [
  { key: "intra_op_thread_count" value: { string_value: "1" } },
  { key: "inter_op_thread_count" value: { string_value: "1" } }
]
"""


def with_instances(config: str, count: int) -> str:
    """A sample model's config with another number of instances, of one thread each."""
    if config.count("count: 1") != 1:
        raise ValueError("the config must have one instance group with `count: 1`")
    return config.replace("count: 1", f"count: {count}") + _ONE_THREAD


def copy_model(name: str, repository: Path, instances: int) -> None:
    """Copy a fetched sample model, set to `instances` instances of one thread each."""
    source, target = _ROOT / "model_repository" / name, repository / name
    shutil.copytree(source, target, dirs_exist_ok=True)
    config = target / "config.pbtxt"
    config.write_text(with_instances(config.read_text(), instances))


def start(repository: Path, models: Sequence[str], folder: Path, on: Sequence[str]) -> Service:
    """Start Triton with `models` and wait until all of them are loaded."""
    http, grpc = free_ports(2)
    script = [sys.executable, "-m", "benchmarks.triton_server", str(repository), str(http), str(grpc)]
    command = [*on, *script, str(folder / "tritonserver.log"), *models]
    service = Service("triton", command, folder, http=f"127.0.0.1:{http}", grpc=f"127.0.0.1:{grpc}", cwd=_ROOT)
    return service.wait(lambda: "ready" in service.log.read_text().splitlines(), 120)
