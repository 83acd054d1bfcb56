from pathlib import Path

import pytest

from backends.common.config import ModelConfig, Parameters
from backends.common.errors import LoadError
from backends.fil.settings import FILENAMES, ForestSettings, threads


def read(folder: Path, filename: str = "", **parameters: str) -> ForestSettings:
    return ForestSettings.read(Parameters(parameters), filename, folder)


@pytest.mark.parametrize(("model_type", "filename"), FILENAMES.items())
def test_each_model_type_has_the_native_file_name(tmp_path: Path, model_type: str, filename: str) -> None:
    assert read(tmp_path, model_type=model_type).filename == filename
    assert read(tmp_path, "trees.bin", model_type=model_type).filename == "trees.bin"


@pytest.mark.parametrize(("model_type", "filename"), FILENAMES.items())
def test_without_a_model_type_the_file_that_is_there_tells(tmp_path: Path, model_type: str, filename: str) -> None:
    (tmp_path / filename).touch()
    assert read(tmp_path).model_type == model_type


def test_without_anything_it_is_the_native_default(tmp_path: Path) -> None:
    settings = read(tmp_path)
    assert (settings.model_type, settings.gives_class, settings.threshold) == ("xgboost", False, 0.5)


@pytest.mark.parametrize(
    ("parameters", "gives_class"),
    [
        ({"output_class": "true"}, True),
        ({"is_classifier": "true"}, True),
        ({"is_classifier": "false", "output_class": "true"}, False),
        ({"output_class": "true", "predict_proba": "true"}, False),
        ({"predict_proba": "true"}, False),
    ],
)
def test_a_classifier_gives_classes_unless_asked_for_scores(
    tmp_path: Path, parameters: dict[str, str], gives_class: bool
) -> None:
    assert read(tmp_path, **parameters).gives_class is gives_class


def test_what_only_matters_to_the_native_backend_is_taken_and_so_is_what_nobody_knows(tmp_path: Path) -> None:
    read(
        tmp_path,
        storage_type="SPARSE8",
        algo="NAIVE",
        layout="layered",
        blocks_per_sm="2",
        threads_per_tree="4",
        chunk_size="8",
        transfer_threshold="0",
        use_experimental_optimizations="true",
        something_else="yes",
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model_type", "catboost", "must be one of xgboost, xgboost_json, .* not 'catboost'"),
        ("threshold", "half", "must be a number such as 0.5, not 'half'"),
        ("threshold", "nan", "must be a number such as 0.5, not 'nan'"),
        ("storage_type", "COMPACT", "must be one of AUTO, DENSE, SPARSE, SPARSE8, not 'COMPACT'"),
        ("algo", "FAST", "must be one of ALGO_AUTO, .* not 'FAST'"),
        ("layout", "deep", "must be one of depth_first, .* not 'deep'"),
        ("blocks_per_sm", "-1", "must be a number of 0 or more"),
        ("predict_proba", "maybe", "must be a boolean"),
        ("use_experimental_optimizations", "2", "must be a boolean"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, key: str, value: str, message: str) -> None:
    with pytest.raises(LoadError, match=f"^parameter '{key}' {message}"):
        read(tmp_path, **{key: value})


def config(**parameters: str) -> ModelConfig:
    return ModelConfig("m", 4, (), (), Parameters(parameters), instance_count=2)


@pytest.mark.parametrize("value", [None, "0", "-1"])
def test_threads_default_to_the_instances_share(value: str | None) -> None:
    parameters = {} if value is None else {"cpu_nthread": value}
    assert threads(config(**parameters), cores=8) == 4


def test_threads_are_those_that_are_given() -> None:
    assert threads(config(cpu_nthread="3"), cores=8) == 3
    with pytest.raises(LoadError, match="parameter 'cpu_nthread' must be a number of 0 or more, not '-2'"):
        threads(config(cpu_nthread="-2"), cores=8)
