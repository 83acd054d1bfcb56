from pathlib import Path

from benchmarks.models_1000 import fill, medians, write
from gateway.repository.scan import scan


def test_the_models_are_all_such_as_can_be_served(tmp_path: Path) -> None:
    fill(tmp_path / "models", 5)
    found = scan(tmp_path / "models", None)
    assert [(folder.name, folder.backend, folder.problem) for folder in found] == [
        ("identity", "python", None),
        *((f"model-{number:04d}", "ensemble", None) for number in range(1, 5)),
    ]


def test_a_change_shows_in_the_configuration_alone(tmp_path: Path) -> None:
    write(tmp_path, "model")
    before = (tmp_path / "model" / "config.pbtxt").read_text()
    write(tmp_path, "model", "# changed\n")
    assert (tmp_path / "model" / "config.pbtxt").read_text() == f"{before}# changed\n"
    assert list((tmp_path / "model" / "1").iterdir()) == []


def test_figures_are_medians_of_the_rounds() -> None:
    rounds = [{"start": 3.0, "index": 0.1}, {"start": 1.0, "index": 0.3}, {"start": 2.0, "index": 0.2}]
    assert medians(rounds) == {"start": 2.0, "index": 0.2}
