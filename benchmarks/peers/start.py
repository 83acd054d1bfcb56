"""How each peer is started and asked: two workers of one thread each, as its own documentation recommends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks import replies, tools
from benchmarks.models import Sample
from benchmarks.payloads import GRPC_PATH, Array, Kind, Message, request
from benchmarks.service import Service, free_ports, listens

HERE = Path(__file__).parent
WORKERS = 2
_START_SECONDS = 90.0
# One thread for everybody who would start more for the same work.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class Peer:
    """One server that is compared.

    Attributes:
        name: in results.
        kinds: how it can be asked.
        start: starts it for one model.
        why_not: what it says of the kinds that it does not take.
    """

    name: str
    kinds: tuple[Kind, ...]
    start: Callable[[Sample, Path, Console], Service]
    why_not: str = ""

    def path(self, kind: Kind, model: str) -> str:
        """Where a request goes."""
        if kind == "grpc":
            return GRPC_PATH
        return "/infer" if self.name == "bentoml" else f"/v2/models/{model}/infer"

    def message(self, kind: Kind, sample: Sample) -> Message:
        """The request, in the form that it takes."""
        if self.name == "bentoml":
            tensor = next(iter(sample.inputs.values()))
            return Message(kind, json.dumps({"tensor": tensor.tolist()}, separators=(",", ":")).encode())
        return request(kind, sample.name, sample.inputs, list(sample.outputs))

    def read(self, kind: Kind, body: bytes, sample: Sample) -> dict[str, Array]:
        """The arrays in its reply, by output name."""
        if self.name == "bentoml":
            values = [np.asarray(array, np.float32) for array in json.loads(body)["outputs"]]
            return dict(zip(sample.outputs, values, strict=True))
        return replies.arrays(kind, body)


def _mlserver(sample: Sample, folder: Path, console: Console) -> Service:
    bin_folder = tools.venv(HERE / "mlserver" / "requirements.txt", console)
    http, grpc, metrics = free_ports(3)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "runtime.py").write_text((HERE / "mlserver" / "runtime.py").read_text())
    ports = {"host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics}
    settings = {**ports, "parallel_workers": WORKERS, "debug": False, "grpc_max_message_length": 2**26}
    (folder / "settings.json").write_text(json.dumps(settings))
    model = {"name": sample.name, "implementation": "runtime.OnnxRuntime", "parameters": {"uri": str(sample.path)}}
    (folder / "model-settings.json").write_text(json.dumps(model))
    return _service("mlserver", [str(bin_folder / "mlserver"), "start", "."], folder, http, grpc, bin_folder)


def _script(name: str) -> Callable[[Sample, Path, Console], Service]:
    def start(sample: Sample, folder: Path, console: Console) -> Service:
        bin_folder = tools.venv(HERE / name / "requirements.txt", console)
        http, grpc = free_ports(2)
        command = [str(bin_folder / "python"), str(HERE / name / "serve.py"), sample.name, str(sample.path)]
        return _service(name, [*command, str(http), str(grpc), str(WORKERS)], folder, http, grpc, bin_folder)

    return start


def _bentoml(sample: Sample, folder: Path, console: Console) -> Service:
    bin_folder = tools.venv(HERE / "bentoml" / "requirements.txt", console)
    http = free_ports(1)[0]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "service.py").write_text((HERE / "bentoml" / "serve.py").read_text())
    command = [str(bin_folder / "bentoml"), "serve", "service:Onnx", "--port", str(http), "--host", "127.0.0.1"]
    dtype = next(iter(sample.inputs.values())).dtype.name
    env = {"MODEL_FILE": str(sample.path), "WORKERS": str(WORKERS), "INPUT_TYPE": dtype, "BENTOML_DO_NOT_TRACK": "1"}
    return _service("bentoml", command, folder, http, 0, bin_folder, {**env, "BENTOML_HOME": str(folder / "home")})


def _service(  # noqa: PLR0913, PLR0917 - each is a thing of its own
    name: str,
    command: list[str],
    folder: Path,
    http: int,
    grpc: int,
    bin_folder: Path,
    env: dict[str, str] | None = None,
) -> Service:
    path = {"PATH": f"{bin_folder}:/usr/local/bin:/usr/bin:/bin"}
    address = f"127.0.0.1:{http}"
    grpc_address = f"127.0.0.1:{grpc}" if grpc else ""
    service = Service(name, command, folder, http=address, grpc=grpc_address, env={**ONE_THREAD, **path, **(env or {})})
    return service.wait(lambda: listens(address), _START_SECONDS)


PEERS = (
    Peer("mlserver", ("json", "grpc"), _mlserver, "it has no binary tensors over HTTP"),
    Peer("litserve", ("json",), _script("litserve"), "it has its own JSON over HTTP only"),
    Peer("bentoml", ("json",), _bentoml, "services of this version have no gRPC, and take arrays as JSON"),
    Peer("kserve", ("json", "binary", "grpc"), _script("kserve")),
)
