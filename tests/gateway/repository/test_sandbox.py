"""The real sandbox: real ONNX models, and Python models that do what they must not."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import numpy as np
import pytest

from gateway.config import SandboxSection
from gateway.core.errors import ModelRefused
from gateway.repository import landlock
from gateway.repository.description import Hints, Prepared, Tensor
from gateway.repository.sandbox import prepare
from tests.gateway.repository.dropped import onnx_model, python_model

LIMITS = SandboxSection(memory_mib=2048, seconds=60, file_mib=64)
needs_landlock = pytest.mark.skipif(landlock.version() == 0, reason="this kernel has no Landlock")


async def tried(
    source: Path, limits: SandboxSection = LIMITS, hints: Hints | None = None, step: str = "validate"
) -> Prepared:
    scratch = source.parent / "scratch"
    scratch.mkdir()
    return await prepare(source, "model", scratch, hints or Hints(), limits, step=step)


async def refusal(source: Path, limits: SandboxSection = LIMITS) -> str:
    with pytest.raises(ModelRefused) as refused:
        await tried(source, limits)
    assert "\n" not in refused.value.message
    assert "Traceback" not in refused.value.message
    return refused.value.message


async def test_an_onnx_file_becomes_a_model_folder(tmp_path: Path) -> None:
    prepared = await tried(onnx_model(tmp_path / "my.onnx", "Abs", "Sqrt"))
    assert prepared.folder == tmp_path / "scratch" / "model"
    assert (prepared.folder / "1" / "model.onnx").is_file()
    config = (prepared.folder / "config.pbtxt").read_text(encoding="utf-8")
    assert 'backend: "onnxruntime"' in config
    assert "dynamic_batching" in config
    assert prepared.description.batches
    assert [check.name for check in prepared.checks] == [
        "load", "run", "outputs", "deterministic", "batch", "same answer", "finite", "memory",
    ]  # fmt: skip
    assert "ONNX Runtime" in next(check.detail for check in prepared.checks if check.name == "same answer")
    assert prepared.sample[0]["name"] == "x"
    assert prepared.sample[0]["shape"] == [2, 4]


async def test_a_python_model_is_loaded_and_run(tmp_path: Path) -> None:
    prepared = await tried(python_model(tmp_path / "doubler"))
    assert {check.name for check in prepared.checks} >= {"load", "run", "deterministic", "batch"}


async def test_inspecting_stops_at_the_description(tmp_path: Path) -> None:
    prepared = await tried(onnx_model(tmp_path / "my.onnx", "Abs"), step="inspect")
    assert prepared.description.inputs == (Tensor("x", "FP32", (-1, 4)),)
    assert not (prepared.folder / "config.pbtxt").exists()
    assert prepared.checks == ()


async def test_preparing_runs_nothing(tmp_path: Path) -> None:
    prepared = await tried(python_model(tmp_path / "failing", execute="raise ValueError"), step="prepare")
    assert (prepared.folder / "config.pbtxt").is_file()
    assert prepared.checks == ()


async def test_a_sample_that_was_given_is_what_the_model_runs_on(tmp_path: Path) -> None:
    sample = tmp_path / "elsewhere.npz"
    np.savez(sample, x=np.ones((3, 4), np.float32))
    prepared = await tried(onnx_model(tmp_path / "my.onnx", "Abs"), hints=Hints(sample=sample))
    assert prepared.sample[0]["data"] == [1.0] * 12
    assert next(check.detail for check in prepared.checks if check.name == "run") == "on elsewhere.npz: x [3, 4]"


async def test_progress_is_told_as_it_happens(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    source, told = onnx_model(tmp_path / "my.onnx", "Abs"), list[str]()
    await prepare(source, "model", tmp_path / "scratch", Hints(), LIMITS, on_progress=told.append)
    assert told[0] == "reading the model (ONNX)"
    assert "loading the model" in told


async def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path) -> None:
    path = onnx_model(tmp_path / "my.onnx", "Abs")
    path.write_bytes(path.read_bytes()[:-9])
    assert "my.onnx" in await refusal(path)


@needs_landlock
@pytest.mark.parametrize(
    "action",
    [
        "open(os.path.expanduser('{secret}')).read()",
        "open('{secret}', 'w').write('mine now')",
        "os.remove('{secret}')",
        "os.listdir('{folder}')",
        "open('{folder}/new', 'w')",
    ],
)
async def test_a_model_reaches_no_other_file(action: str, tmp_path: Path) -> None:
    secret = tmp_path / "id_ed25519"
    secret.write_text("secret", encoding="utf-8")
    model = python_model(tmp_path / "curious", initialize=action.format(secret=secret, folder=tmp_path))
    assert "may read only its own folder" in await refusal(model)
    assert secret.read_text(encoding="utf-8") == "secret"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("socket.create_connection(('127.0.0.1', 9))", "no network"),
        ("socket.getaddrinfo('example.com', 443)", "no network"),
        ("subprocess.run(['true'])", "may not start or signal other processes"),
        ("os.kill(os.getppid(), 9)", "may not start or signal other processes"),
        ("for _ in range(1000): os.fork()", "may not start or signal other processes"),
        ("self.big = np.ones(100 * 2**30, np.uint8)", "raise repository.sandbox.memory_mib"),
        ("open(os.environ['TMPDIR'] + '/big', 'wb').truncate(2**30)", "raise repository.sandbox.file_mib"),
        ("os._exit(3)", "exit status 3"),
        ("sys.exit(3)", "SystemExit: 3"),
        ("os.abort()", "crashed while loading the model (SIGABRT)"),
        ("raise ValueError('the weights\\nare gone')", "loading the model failed: ValueError: the weights are gone"),
        ("import missing_package", "install what it needs beside the gateway (the package of 'missing_package')"),
        ("print('{\"prepared\": {}}', flush=True); raise KeyError", "KeyError"),
    ],
)
async def test_a_model_that_does_what_it_must_not_is_refused_with_the_reason(
    lines: str, reason: str, tmp_path: Path
) -> None:
    assert reason in await refusal(python_model(tmp_path / "bad", initialize=lines))


async def test_a_model_that_forges_an_answer_is_refused(tmp_path: Path) -> None:
    forged = """
    for each in range(3, 50):
        try:
            os.write(each, b'{"prepared": {"description": 1}}\\n')
        except OSError:
            pass
    """
    assert "makes no sense" in await refusal(python_model(tmp_path / "forger", initialize=forged))


async def test_a_model_that_never_ends_is_ended(tmp_path: Path) -> None:
    model = python_model(tmp_path / "endless", initialize="while True: pass")
    said = await refusal(model, SandboxSection(memory_mib=2048, seconds=1.5))
    assert said == (
        "loading the model wasn't done within 1.5 s; raise repository.sandbox.seconds (now 1.5) if the model needs more"
    )


async def test_shared_memory_counts_as_memory(tmp_path: Path) -> None:
    lines = """
    import mmap
    self.big = mmap.mmap(-1, 2**30)
    for _ in range(700):
        self.big.write(bytes(2**20))
    time.sleep(60)
    """
    model = python_model(tmp_path / "sharing", initialize=lines)
    assert "takes more memory than a trial may" in await refusal(model, SandboxSection(memory_mib=600, seconds=30))


async def test_a_model_that_prints_without_end_fills_nothing(tmp_path: Path) -> None:
    lines = "for _ in range(300): print('x' * 10000)\nprint('the last word', file=sys.stderr, flush=True)\nos._exit(1)"
    assert "the last word" in await refusal(python_model(tmp_path / "talker", initialize=lines))
    assert (tmp_path / "scratch" / "sandbox.log").stat().st_size < 2**19


async def test_a_wrong_answer_is_refused_with_numbers(tmp_path: Path) -> None:
    model = python_model(tmp_path / "wrong", execute="y = x[:, :2]")
    assert "output 'y' has the shape [2, 2], but [-1, 4] was said" in await refusal(model)


async def test_a_model_that_fails_on_every_sample_is_refused_with_its_own_words(tmp_path: Path) -> None:
    model = python_model(tmp_path / "failing", execute="raise RuntimeError('it does not fit')")
    assert "running the model on a sample failed: RuntimeError: it does not fit" in await refusal(model)


async def test_a_cancelled_trial_leaves_no_process(tmp_path: Path) -> None:
    model = python_model(tmp_path / "endless", initialize="while True: pass")
    (tmp_path / "scratch").mkdir()
    loading = asyncio.Event()

    def progress(doing: str) -> None:
        if doing == "loading the model":
            loading.set()

    trial = asyncio.create_task(prepare(model, "model", tmp_path / "scratch", Hints(), LIMITS, on_progress=progress))
    async with asyncio.timeout(30):
        await loading.wait()
    trial.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await trial
    assert not _processes_in(tmp_path)


def _processes_in(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(process.name)
    return found


async def test_the_environment_of_the_gateway_stays_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "AWS_SECRET_ACCESS_KEY", "very secret")
    model = python_model(tmp_path / "nosy", initialize="raise ValueError(dict(os.environ))")
    assert "very secret" not in await refusal(model)


async def test_what_nobody_knows_is_refused_without_a_trial(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"12345678")
    assert "weights without the network" in await refusal(tmp_path / "weights.safetensors")
    assert not (tmp_path / "scratch" / "sandbox.log").exists()
