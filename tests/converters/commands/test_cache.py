import fcntl
from pathlib import Path

import pytest

from converters.build.cache import Key, StepCache
from tests.converters.commands.running import refused, run

CONFIG = "models: {small: {source: small.onnx, variants: {fp32: {precision: fp32}}}}\noutput: out\n"


@pytest.fixture
def config(here: Path) -> str:
    (here / "engines.yaml").write_text(CONFIG)
    return "--config=engines.yaml"


def keep(number: int) -> None:
    StepCache(Path("out/cache")).made(Key("onnx", {"number": number}), lambda folder: grown(folder / "model.onnx"))


def grown(path: Path) -> None:
    path.write_bytes(bytes(2**20))


def test_what_is_kept_is_shown_and_made_smaller(config: str) -> None:
    assert run("cache", config).output == "nothing is kept in out/cache\n"
    keep(1)
    keep(2)
    assert run("cache", config).output.split() == ["onnx", "2", "results", "2.0", "MiB"]
    result = run("cache", config, "--prune", "0.0015")
    assert result.output.splitlines()[0] == "removed 1.0 MiB"
    assert result.output.splitlines()[1].split()[:2] == ["onnx", "1"]


def test_nothing_is_taken_from_a_build_at_work(config: str) -> None:
    keep(1)
    with Path("out/.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "another build is at work in out" in refused(2, "cache", config, "--prune", "0")
    assert run("cache", config).output.startswith("onnx")


def test_without_a_configuration(here: Path) -> None:
    assert "engines.yaml: there is no such file" in refused(2, "cache")
