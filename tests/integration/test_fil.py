"""Tree models in a real Triton, compared with the frameworks that trained them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

pytest.importorskip("treelite", reason="install the extra 'trees'")
pytest.importorskip("xgboost", reason="install the extra 'trees'")
pytest.importorskip("lightgbm", reason="install the extra 'trees'")
pytest.importorskip("sklearn", reason="install the extra 'trees'")

import tritonclient.grpc.aio as grpc
from sklearn.ensemble import RandomForestClassifier
from tritonclient.utils import InferenceServerException

from gateway.config import TritonSection
from gateway.triton.fetch import TritonInstall
from gateway.triton.status import ModelState
from gateway.triton.supervise import EmbeddedTriton
from tests.backends.fil import tree_models as trees
from tests.backends.fil.tree_models import BINARY, CATEGORICAL, CLASSES, ODD, REGRESSION, ROWS, Array

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

BACKENDS = Path(__file__).parents[2] / "backends"
COMMON = 'backend: "fil" max_batch_size: 1024 instance_group { count: 1 kind: KIND_CPU }'
DIMS = """
input { name: "input__0" data_type: TYPE_FP32 dims: 5 }
output { name: "output__0" data_type: TYPE_FP32 dims: %d }
"""
QUEUE = "dynamic_batching { max_queue_delay_microseconds: 200000 preferred_batch_size: 200 }"
BROKEN = {
    "broken_type": "parameter 'model_type' must be one of xgboost, .* not 'catboost'",
    "broken_features": r"'dims' give the shape \[-1, 4\] .* but the model has \[-1, 5\]",
    "broken_file": "'xgboost.json' cannot be opened as a model of the type 'xgboost_json'",
}


def parameters(**values: str) -> str:
    return " ".join(
        f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}' for key, value in values.items()
    )


def version_of(repository: Path, model: str, text: str) -> Path:
    folder = repository / model
    (folder / "1").mkdir(parents=True)
    (folder / "config.pbtxt").write_text(text)
    return folder / "1"


def write_served(repository: Path) -> Mapping[str, tuple[Array, Array]]:
    """For each model the rows that it is asked, and what its framework answers."""
    both = parameters(model_type="xgboost_json", output_class="true", predict_proba="true", threshold="0.5")
    version = version_of(repository, "xgboost_json", COMMON + DIMS % 2 + both + QUEUE)
    probability = trees.xgboost(version / "xgboost.json", BINARY, objective="binary:logistic")
    version = version_of(repository, "xgboost_ubj", COMMON + DIMS % 1 + parameters(model_type="xgboost_ubj"))
    regression = trees.xgboost(version / "xgboost.ubj", REGRESSION)
    version = version_of(repository, "lightgbm", COMMON + DIMS % 1 + parameters(model_type="lightgbm"))
    categorical = trees.lightgbm(version / "model.txt", ODD, CATEGORICAL, objective="binary")
    version = version_of(repository, "completed", 'backend: "fil" max_batch_size: 1024')
    forest = RandomForestClassifier(n_estimators=5, random_state=0).fit(ROWS, CLASSES)
    trees.checkpoint(version / "checkpoint.tl", forest)
    return {
        "xgboost_json": (ROWS, np.stack([1 - probability, probability], axis=1)),
        "xgboost_ubj": (ROWS, regression[:, None]),
        "lightgbm": (CATEGORICAL, categorical[:, None]),
        "completed": (ROWS, forest.predict_proba(ROWS)),
    }


def write_broken(repository: Path) -> None:
    good = parameters(model_type="xgboost_json")
    version_of(repository, "broken_type", COMMON + DIMS % 1 + parameters(model_type="catboost"))
    dims = (DIMS % 1).replace("dims: 5", "dims: 4")
    trees.xgboost(version_of(repository, "broken_features", COMMON + dims + good) / "xgboost.json", REGRESSION)
    (version_of(repository, "broken_file", COMMON + DIMS % 1 + good) / "xgboost.json").write_text('{"learner": {')


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("repository")


@pytest.fixture(scope="module")
def answers(repository: Path) -> Mapping[str, tuple[Array, Array]]:
    write_broken(repository)
    return write_served(repository)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def triton(
    triton_install: TritonInstall,
    repository: Path,
    answers: Mapping[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[EmbeddedTriton]:
    log = tmp_path_factory.mktemp("triton") / "triton.log"
    section = TritonSection(http_port=0, grpc_port=0, metrics_port=0, log_file=log)
    models = [*answers, *BROKEN]
    async with EmbeddedTriton(section, triton_install, repository, BACKENDS, models, lambda _: None) as triton:
        await triton.wait_ready()
        async with asyncio.timeout(60):
            while any(triton.status().models[model].state is not ModelState.READY for model in answers):
                await asyncio.sleep(0.05)
        yield triton


@pytest_asyncio.fixture(loop_scope="module")
async def client(triton: EmbeddedTriton) -> AsyncIterator[Any]:
    async with grpc.InferenceServerClient(triton.grpc_address) as client:
        yield client


async def ask(client: Any, model: str, rows: Array) -> Array:
    tensor = grpc.InferInput("input__0", list(rows.shape), "FP32")
    tensor.set_data_from_numpy(rows)
    answer: Array = (await client.infer(model, [tensor])).as_numpy("output__0")
    return answer


@pytest.mark.parametrize("model", ["xgboost_json", "xgboost_ubj", "lightgbm", "completed"])
async def test_triton_answers_as_the_framework_does(
    client: Any, answers: Mapping[str, tuple[Array, Array]], model: str
) -> None:
    rows, want = answers[model]
    np.testing.assert_allclose(await ask(client, model, rows), want, atol=1e-5)
    np.testing.assert_allclose(await ask(client, model, rows[:1]), want[:1], atol=1e-5)


async def test_requests_that_wait_together_run_together(
    client: Any, answers: Mapping[str, tuple[Array, Array]]
) -> None:
    rows, want = answers["xgboost_json"]
    before = (await client.get_inference_statistics("xgboost_json")).model_stats[0].execution_count
    calls = [ask(client, "xgboost_json", rows[start : start + 20]) for start in range(0, 200, 20)]
    got = await asyncio.gather(*calls)
    after = (await client.get_inference_statistics("xgboost_json")).model_stats[0].execution_count
    np.testing.assert_allclose(np.concatenate(got), want, atol=1e-5)
    assert after - before < 10


async def test_the_tensors_come_from_the_model_where_the_configuration_has_none(client: Any) -> None:
    config = (await client.get_model_config("completed")).config
    tensors = [(tensor.name, list(tensor.dims)) for tensor in (*config.input, *config.output)]
    assert tensors == [("input__0", [5]), ("output__0", [3])]
    assert config.HasField("dynamic_batching")


async def test_rows_of_another_width_are_the_callers_fault(client: Any) -> None:
    with pytest.raises(InferenceServerException, match=r"unexpected shape for input 'input__0'"):
        await ask(client, "xgboost_ubj", ROWS[:, :4].copy())


@pytest.mark.parametrize(("model", "reason"), BROKEN.items())
async def test_a_model_that_cannot_be_served_says_why(triton: EmbeddedTriton, model: str, reason: str) -> None:
    async with asyncio.timeout(60):  # it is tried again and again, so its state changes
        while not (told := triton.status().models[model].reason):
            await asyncio.sleep(0.05)
    assert re.search(reason, told), told
