from pathlib import Path

import pytest

from tests.converters.framework_models import save_keras, save_saved_model


@pytest.fixture(scope="session")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_saved_model(tmp_path_factory.mktemp("saved") / "tiny")


@pytest.fixture(scope="session")
def keras_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_keras(tmp_path_factory.mktemp("keras") / "tiny.keras")
