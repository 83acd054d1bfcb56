"""The sample models through the real Triton: they give what their frameworks give, and the examples work."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import wave
import zipfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import tritonclient.grpc.aio
import tritonclient.http.aio
from rich.console import Console

from gateway.config import TritonSection
from gateway.demo import SAMPLE_MODELS, run_demo
from gateway.repository.manifest import read_manifest
from gateway.repository.samples import fetch_samples
from gateway.snippets import snippets_for
from gateway.triton.fetch import TritonInstall
from gateway.triton.status import Event
from gateway.triton.supervise import EmbeddedTriton
from gateway.wheels import Wheel, download

pytestmark = [
    pytest.mark.integration,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
    # tritonclient's HTTP client for asyncio hands its whole body to aiohttp, which minds from 1 MiB on.
    pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning"),
]

ROOT = Path(__file__).parents[2]
REPOSITORY = ROOT / "model_repository"
EXAMPLES = ROOT / "examples"

# Largest absolute difference from the framework called directly; all outputs are probabilities.
TOLERANCE = 1e-5

Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def fetched() -> None:
    """Every sample, from the package index on the first run."""
    fetch_samples(REPOSITORY, ("onnx", "pytorch", "tensorflow"), Console(stderr=True))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def triton(
    fetched: None, triton_install: TritonInstall, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[EmbeddedTriton]:
    """All four models, all three frameworks; started once, as no test changes anything."""
    log = tmp_path_factory.mktemp("triton") / "triton.log"
    section = TritonSection(http_port=0, grpc_port=0, metrics_port=0, log_file=log)
    async with EmbeddedTriton(section, triton_install, REPOSITORY, ROOT / "backends", SAMPLE_MODELS, _quiet) as running:
        await running.wait_ready()
        failed = {name: model.reason for name, model in running.status().models.items() if model.state != "ready"}
        assert failed == {}
        yield running


def _quiet(_: Event) -> None:
    """Nobody listens to the events."""


def conversation() -> Array:
    """30 s of speech at 16 kHz."""
    with wave.open(str(EXAMPLES / "data" / "conversation" / "conversation.wav")) as file:
        samples: Array = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    return samples


def windows(count: int) -> Array:
    """Real audio as [count, 43844, 1], each window different."""
    speech = conversation()
    cut: Array = np.stack([speech[i * 40000 : i * 40000 + 43844] for i in range(count)])
    return cut[..., np.newaxis]


def file_features(count: int) -> Array:
    """Bytes of real files as [count, 2048]."""
    files = sorted((ROOT / "gateway").rglob("*.py"), key=lambda path: path.stat().st_size)[-count:]
    parts = [np.frombuffer(path.read_bytes(), np.uint8) for path in files]
    features: Array = np.stack([np.concatenate([part[:1024], part[-1024:]]) for part in parts])
    return features.astype(np.int32)


def speech(count: int) -> Array:
    """Real audio as [count, samples], not a multiple of the window's length."""
    return np.stack([conversation()[i * 30000 : i * 30000 + 70001] for i in range(count)])


CASES = [
    ("basic_pitch", "tensorflow", "1/model.savedmodel", "input_2", windows),
    ("basic_pitch_onnx", "onnx", "1/model.onnx", "serving_default_input_2:0", windows),
    ("magika", "onnx", "1/model.onnx", "bytes", file_features),
    ("silero_vad", "pytorch", None, "AUDIO", speech),
]


def published_silero(folder: Path) -> Path:
    """The module as published, which the served one is built from."""
    manifest = read_manifest(REPOSITORY)
    assert manifest is not None
    wheel = manifest.wheels["silero-vad"]
    path = download(Wheel("silero-vad", wheel.version, wheel.sha256), folder, Console(stderr=True))
    with zipfile.ZipFile(path) as archive:
        return Path(archive.extract("silero_vad/data/silero_vad.jit", folder))


async def call_directly(framework: str, model: Path, inputs: dict[str, Array], folder: Path) -> dict[str, Array]:
    np.savez(folder / "inputs.npz", **inputs)
    script = Path(__file__).with_name("frameworks.py")
    command = [str(script), framework, str(model), str(folder / "inputs.npz"), str(folder / "outputs.npz")]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    )
    assert await process.wait() == 0
    with np.load(folder / "outputs.npz") as arrays:
        return dict(arrays)


async def call_triton(
    protocol: Any, address: str, model: str, inputs: dict[str, Array], outputs: Sequence[str]
) -> dict[str, Array]:
    """One request over HTTP or gRPC."""
    tensors = []
    for name, array in inputs.items():
        tensor = protocol.InferInput(name, array.shape, "INT32" if array.dtype == np.int32 else "FP32")
        tensor.set_data_from_numpy(array)
        tensors.append(tensor)
    async with protocol.InferenceServerClient(address) as client:
        result = await client.infer(model, tensors)
    return {name: result.as_numpy(name) for name in outputs}


@pytest.mark.parametrize(("model", "framework", "file", "tensor", "make"), CASES, ids=[case[0] for case in CASES])
async def test_outputs_are_those_of_the_framework(
    triton: EmbeddedTriton,
    tmp_path: Path,
    model: str,
    framework: str,
    file: str | None,
    tensor: str,
    make: Callable[[int], Array],
) -> None:
    """A batch of one and of five, over both protocols, and five at a time, which Triton may batch."""
    inputs = make(5)
    path = REPOSITORY / model / file if file else published_silero(tmp_path)
    expected = await call_directly(framework, path, {tensor: inputs}, tmp_path)
    clients = ((tritonclient.http.aio, triton.http_address), (tritonclient.grpc.aio, triton.grpc_address))
    for protocol, address in clients:
        batch = await call_triton(protocol, address, model, {tensor: inputs}, list(expected))
        singles = await asyncio.gather(
            *(call_triton(protocol, address, model, {tensor: inputs[i : i + 1]}, list(expected)) for i in range(5))
        )
        for name, wanted in expected.items():
            assert batch[name].shape == wanted.shape
            np.testing.assert_allclose(batch[name], wanted, rtol=0, atol=TOLERANCE)
            together = np.concatenate([single[name] for single in singles])
            np.testing.assert_allclose(together, wanted, rtol=0, atol=TOLERANCE)


async def test_speech_requests_do_not_share_state(triton: EmbeddedTriton) -> None:
    """Different audio of different lengths, many at a time, gives each what it gets alone."""
    audio = conversation()
    pieces = [audio[np.newaxis, i * 16000 : i * 16000 + 16000 + 517 * i] for i in range(12)]

    async def ask(piece: Array) -> Array:
        found = await call_triton(
            tritonclient.grpc.aio, triton.grpc_address, "silero_vad", {"AUDIO": piece}, ["SPEECH"]
        )
        return found["SPEECH"]

    alone = [await ask(piece) for piece in pieces]
    together = await asyncio.gather(*(ask(piece) for piece in pieces * 4))
    for index, found in enumerate(together):
        np.testing.assert_allclose(found, alone[index % 12], rtol=0, atol=TOLERANCE)


async def test_the_demonstration_finds_what_it_should(triton: EmbeddedTriton) -> None:
    output = io.StringIO()
    console = Console(file=output, width=120)
    right = await run_demo(triton.http_address, triton.grpc_address, SAMPLE_MODELS, console)
    assert right, output.getvalue()
    assert "basic_pitch (TensorFlow, gRPC): 15 notes, they are the melody's" in output.getvalue()
    assert "basic_pitch_onnx (ONNX, HTTP): 15 notes, they are the melody's" in output.getvalue()
    assert "✗" not in output.getvalue()


@pytest.mark.parametrize(
    ("model", "curl", "python"),
    [
        ("magika", ":python", ":python"),
        ("silero_vad", '"SPEECH"', "[[0."),
        ("basic_pitch_onnx", '"StatefulPartitionedCall:1"', "MIDI pitch 69"),
        ("basic_pitch", '"note"', "MIDI pitch 69"),
    ],
)
async def test_printed_commands_work_as_printed(triton: EmbeddedTriton, model: str, curl: str, python: str) -> None:
    snippets = snippets_for([model], triton.http_address, Path(sys.executable), EXAMPLES)
    assert snippets is not None
    for text, wanted in ((snippets.curl, curl), (snippets.python, python)):
        result = await asyncio.to_thread(
            subprocess.run, ["bash", "-c", text], capture_output=True, text=True, check=False
        )
        assert wanted in result.stdout, result


async def test_the_curl_example_gets_the_same_answer_from_json_and_binary(triton: EmbeddedTriton) -> None:
    command = [str(EXAMPLES / "curl.sh"), str(EXAMPLES / "transcribe.py"), triton.http_address]
    result = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result
    answers = [
        line for line in result.stdout.splitlines() if '"outputs":[{"name":"target_label","datatype":"BYTES"' in line
    ]
    assert len(answers) == 2
    assert answers[0] == answers[1]
    assert ":python" in answers[0]
