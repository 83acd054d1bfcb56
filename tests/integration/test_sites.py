"""Sites for real: the embedded Triton, and one that stands for an external one because its supervisor wants nothing."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from gateway.config import UpstreamSection
from gateway.repository.model_control import ControlError
from gateway.repository.site import ModelState, Site
from gateway.triton.external import ExternalTriton
from gateway.triton.supervise import EmbeddedTriton
from tests.gateway.repository import site_contract
from tests.gateway.repository.site_contract import SAMPLE, Rig, until

from .conftest import EmbeddedTritonFactory

pytestmark = pytest.mark.integration

CONFIG = """
backend: "python"
max_batch_size: 0
input [{name: "X" data_type: TYPE_FP32 dims: [-1]}]
output [{name: "Y" data_type: TYPE_FP32 dims: [-1]}]
"""
TWICE = """
import os
import triton_python_backend_utils as pb
class TritonPythonModel:
    def initialize(self, args):
        if CAUSE and not os.path.exists(CURE):
            raise ValueError(CAUSE)
    def execute(self, requests):
        inputs = [pb.get_input_tensor_by_name(request, "X").as_numpy() for request in requests]
        return [pb.InferenceResponse([pb.Tensor("Y", x * 2)]) for x in inputs]
"""
ENSEMBLE = """
platform: "ensemble"
max_batch_size: 0
input [{name: "X" data_type: TYPE_FP32 dims: [-1]}]
output [{name: "Y" data_type: TYPE_FP32 dims: [-1]}]
ensemble_scheduling { step [{ model_name: "twice" model_version: -1
  input_map { key: "X" value: "X" } output_map { key: "Y" value: "Y" } }] }
"""


class RealRig:
    """A real Triton with models that need numpy alone."""

    def __init__(self, site: Site, triton: EmbeddedTriton, repository: Path, scratch: Path) -> None:
        self.site, self.triton, self._repository, self._scratch = site, triton, repository, scratch

    def make(self, model: str, version: int = 1, *, cause: str = "") -> Path:
        return self._make(self._repository / model, version, cause)

    def cure(self, model: str) -> None:
        (self._scratch / "cured").touch()

    def elsewhere(self, *, cause: str = "") -> Path:
        folder = self._make(self._scratch / "else where", 1, cause)
        (folder / "config.pbtxt").write_text('name: "another"\n' + CONFIG)
        return folder

    async def clear(self) -> None:
        """Begin anew."""
        await self.site.serve({})
        for path in [*self._repository.iterdir(), *self._scratch.iterdir()]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _make(self, folder: Path, version: int, cause: str) -> Path:
        (folder / str(version)).mkdir(parents=True)
        code = TWICE.replace("CAUSE", repr(cause)).replace("CURE", repr(str(self._scratch / "cured")))
        (folder / str(version) / "model.py").write_text(code)
        (folder / "config.pbtxt").write_text(CONFIG)
        return folder


@pytest.fixture(params=["embedded", "external"])
async def rig(
    request: pytest.FixtureRequest, embedded_triton: EmbeddedTritonFactory, tmp_path: Path
) -> AsyncIterator[RealRig]:
    repository, scratch = tmp_path / "my models", tmp_path / "scratch"
    repository.mkdir()
    scratch.mkdir()
    async with embedded_triton(repository, []) as triton:
        if request.param == "embedded":
            yield RealRig(triton, triton, repository, scratch)
            return
        upstream = UpstreamSection(name="gpu-1", http=triton.http_address, grpc=triton.grpc_address)
        shared = triton._runtime.models
        async with ExternalTriton(upstream, shared) as external:
            yield RealRig(external, triton, shared, scratch)


async def test_a_real_triton_keeps_the_contract(rig: RealRig) -> None:
    promises: tuple[Callable[[Rig], Awaitable[None]], ...] = site_contract.CONTRACT
    for promise in promises:
        await promise(rig)
        await rig.clear()
    assert list(rig.triton._runtime.models.iterdir()) == []


async def test_a_triton_that_was_killed_is_filled_again(rig: RealRig) -> None:
    rig.make("add")
    await rig.site.serve({"add": "1"})
    pid = rig.triton.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(rig, "add", lambda state: state.state is not ModelState.READY)
    await until(rig, "add", lambda state: state.state is ModelState.READY)
    await rig.site.rehearse("add", rig.elsewhere(), SAMPLE)


async def test_a_candidate_that_kills_triton_is_refused(rig: RealRig) -> None:
    rig.make("add")
    await rig.site.serve({"add": "1"})
    folder = rig.elsewhere()
    deadly = "os.kill(os.getppid(), 9)  # the parent is tritonserver\n        raise ValueError"
    code = (folder / "1" / "model.py").read_text().replace("raise ValueError", deadly)
    (folder / "1" / "model.py").write_text(code.replace("''", "'deadly'"))
    with pytest.raises(ControlError):
        await rig.site.rehearse("add", folder, SAMPLE)
    await until(rig, "add", lambda state: state.state is ModelState.READY)
