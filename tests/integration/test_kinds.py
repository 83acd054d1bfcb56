"""Models of every kind, dropped as plain files into a gateway: they answer as their framework does, or are refused."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import tritonclient.grpc.aio
import tritonclient.http.aio
from tritonclient.utils import np_to_triton_dtype

from tests.integration.models_to_drop import REFUSED, SERVED, Answered, Array, Arrays
from tests.integration.running import Running, running

pytestmark = [
    pytest.mark.integration,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]

SECONDS = 150
"""Until the last of all models is served; the same on a busy machine with two cores."""
TOLERANCE = 1e-5
GRPC = tritonclient.grpc.aio
PROTOCOLS = {"HTTP": tritonclient.http.aio, "gRPC": GRPC}


def model_of(maker: str) -> str:
    """What a model is called: as its file or folder is."""
    return {"torchscript_and_yaml": "torchscript", "torchscript_and_sample": "traced"}.get(maker, maker)


def can_be_made(packages: tuple[str, ...]) -> bool:
    """Whether all packages are installed; nothing is imported."""
    return all(importlib.util.find_spec(package) for package in packages)


MODELS = [
    pytest.param(model_of(maker.__name__), marks=[] if can_be_made(needs) else pytest.mark.skip(f"needs {needs}"))
    for maker, needs in SERVED
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Answered]]:
    """A folder with everything that is dropped, and what the frameworks answer."""
    folder = tmp_path_factory.mktemp("to_drop")
    made = {model_of(maker.__name__): maker(folder) for maker, needs in SERVED if can_be_made(needs)}
    for name, content, _ in REFUSED:
        (folder / name).write_bytes(content)
    return folder, made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(answers: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """One gateway, into whose empty repository everything is moved at once."""
    repository = tmp_path_factory.mktemp("kinds") / "models"
    repository.mkdir()
    async with running(repository) as started:
        for path in sorted(answers[0].iterdir(), key=lambda path: path.suffix not in (".yaml", ".npz")):
            path.rename(started.repository / path.name)
        yield started


async def ask(protocol: Any, address: str, model: str, inputs: Arrays) -> tuple[list[str], list[Array]]:
    """The outputs, by name and in the model's own order."""
    async with protocol.InferenceServerClient(address) as client:
        told = await client.get_model_metadata(model, **({"as_json": True} if protocol is GRPC else {}))
        tensors = []
        for entry, array in zip(told["inputs"], inputs, strict=True):
            tensor = protocol.InferInput(entry["name"], array.shape, np_to_triton_dtype(array.dtype))
            tensor.set_data_from_numpy(array)
            tensors.append(tensor)
        result = await client.infer(model, tensors)
    names = [entry["name"] for entry in told["outputs"]]
    return names, [result.as_numpy(name) for name in names]


@pytest.mark.parametrize("model", MODELS)
async def test_a_dropped_model_answers_as_its_framework(
    gateway: Running, answers: tuple[Path, dict[str, Answered]], model: str
) -> None:
    await gateway.until_model(model, SECONDS, lambda found: found.get("state") in ("ready", "refused", "failed"))
    await gateway.until_served(model, 1)
    inputs, expected = answers[1][model]
    for name, protocol in PROTOCOLS.items():
        names, outputs = await ask(protocol, gateway.address(name), model, inputs)
        assert len(outputs) == len(expected) or not expected
        for output, found, wanted in zip(names, outputs, expected, strict=False):
            np.testing.assert_allclose(
                found.reshape(wanted.shape), wanted, rtol=TOLERANCE, atol=TOLERANCE, err_msg=f"{output} over {name}"
            )


async def test_the_scaffolded_classifier_sees_red(gateway: Running, answers: tuple[Path, dict[str, Answered]]) -> None:
    await gateway.until_model("scaffolded", SECONDS, lambda found: found.get("state") == "ready")
    _, (labels, _) = await ask(
        tritonclient.http.aio, gateway.address("HTTP"), "scaffolded", answers[1]["scaffolded"][0]
    )
    assert labels[0, 0] == b"red"


@pytest.mark.parametrize(("name", "said"), [(name, said) for name, _, said in REFUSED])
async def test_what_cannot_be_served_stays_and_says_why(gateway: Running, name: str, said: str) -> None:
    model = Path(name).stem
    found = await gateway.until_model(model, SECONDS, lambda model: model.get("state") == "refused")
    assert said in found["reason"]
    assert (gateway.repository / name).is_file()
    reply = await gateway.infer(model)
    assert reply.status_code == 404
