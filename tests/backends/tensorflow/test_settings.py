import pytest

from backends.common.config import ModelConfig, Parameters
from backends.common.errors import LoadError
from backends.common.placement import Placement
from backends.tensorflow.settings import GraphChoice, import_tensorflow, session_config, threads


def config(*, instances: int = 1, **parameters: str) -> ModelConfig:
    return ModelConfig("m", 0, (), (), Parameters(parameters), instance_count=instances)


def test_threads_are_the_share_of_the_cores_or_as_configured() -> None:
    assert threads(config(instances=2), cores=8) == (4, 4)
    assert threads(config(TF_NUM_INTRA_THREADS="3", TF_NUM_INTER_THREADS="1"), cores=8) == (3, 1)
    assert threads(config(TF_NUM_INTRA_THREADS="0"), cores=8) == (8, 8)
    with pytest.raises(LoadError, match="parameter 'TF_NUM_INTRA_THREADS' must be a number"):
        threads(config(TF_NUM_INTRA_THREADS="all"), cores=8)


def test_the_graph_and_the_signature() -> None:
    assert GraphChoice.from_raw({}) == GraphChoice("serve", None)
    parameters = {"TF_GRAPH_TAG": {"string_value": "gpu"}, "TF_SIGNATURE_DEF": {"string_value": "embed"}}
    assert GraphChoice.from_raw({"parameters": parameters}) == GraphChoice("gpu", "embed")


@pytest.mark.parametrize(
    ("configured", "signatures", "picked"),
    [
        (None, ["embed", "serving_default"], "serving_default"),
        ("embed", ["embed", "serving_default"], "embed"),
        (None, ["score", "embed", "__saved_model_init_op"], "embed"),
    ],
)
def test_the_signature_that_is_served(configured: str | None, signatures: list[str], picked: str) -> None:
    assert GraphChoice("serve", configured).pick(dict.fromkeys(signatures)) == picked


@pytest.mark.parametrize(
    ("configured", "signatures", "message"),
    [
        ("embd", ["embed"], "parameter 'TF_SIGNATURE_DEF': the SavedModel has no signature 'embd', but embed"),
        (None, [], "the SavedModel has no signature; save it with"),
    ],
)
def test_a_signature_that_is_not_there(configured: str | None, signatures: list[str], message: str) -> None:
    with pytest.raises(LoadError, match=message):
        GraphChoice("serve", configured).pick(dict.fromkeys(signatures))


def test_graphdef_is_refused() -> None:
    with pytest.raises(LoadError, match="platform 'tensorflow_graphdef' is not supported"):
        GraphChoice.from_raw({"platform": "tensorflow_graphdef"})


def test_the_session_on_the_cpu() -> None:
    pytest.importorskip("tensorflow", reason="install the extra 'tensorflow'")
    keys = {"TF_NUM_INTRA_THREADS": "3", "TF_NUM_INTER_THREADS": "2", "TF_USE_PER_SESSION_THREADS": "yes"}
    proto = session_config(import_tensorflow(), config(**keys), Placement("CPU", 0))  # type: ignore[arg-type]
    assert (proto.intra_op_parallelism_threads, proto.inter_op_parallelism_threads) == (3, 2)
    assert proto.use_per_session_threads
    assert proto.device_count["GPU"] == 0
