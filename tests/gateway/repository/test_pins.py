import json
from pathlib import Path

import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.pins import Pins, configuration


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for version in (1, 2, 3):
        (tmp_path / "m" / str(version)).mkdir(parents=True)
    return tmp_path / "m"


def versions(folder: Path, pinned: set[int], config: str | None = None) -> list[int] | None:
    if config is not None:
        (folder / "config.pbtxt").write_text(config)
    said = configuration(folder, frozenset(pinned))
    return json.loads(said)["version_policy"]["specific"]["versions"] if said else None


@pytest.mark.parametrize(
    ("policy", "pinned", "loaded"),
    [
        ("latest { num_versions: 1 }", {1}, [1, 3]),
        ("latest { num_versions: 2 }", {1}, [1, 2, 3]),
        ("latest { num_versions: 2 }", {2}, None),
        ("latest { num_versions: 1 }", {3}, None),
        ("latest { num_versions: 1 }", {9}, None),
        ("specific { versions: [2] }", {1}, [1, 2]),
        ("all { }", {1}, None),
    ],
)
def test_what_is_pinned_is_loaded_beside_what_is_served(
    folder: Path, policy: str, pinned: set[int], loaded: list[int] | None
) -> None:
    assert versions(folder, pinned, f'name: "m" backend: "onnxruntime" version_policy {{ {policy} }}') == loaded


def test_a_configuration_without_a_policy_serves_the_newest(folder: Path) -> None:
    assert versions(folder, {1}, 'name: "m"') == [1, 3]


def test_a_folder_without_a_configuration_leaves_the_rest_to_triton(folder: Path) -> None:
    assert json.loads(configuration(folder, frozenset({2}))) == {
        "name": "m",
        "version_policy": {"specific": {"versions": [2, 3]}},
    }


def test_the_folder_s_own_choice_can_be_asked_for(folder: Path) -> None:
    told = json.loads(configuration(folder, frozenset(), always=True))
    assert told["version_policy"]["specific"]["versions"] == [3]


def test_everything_else_of_the_configuration_stays(folder: Path) -> None:
    (folder / "config.pbtxt").write_text('name: "m" max_batch_size: 8 instance_group [ { count: 2 kind: KIND_CPU } ]')
    told = json.loads(configuration(folder, frozenset({1})))
    assert (told["max_batch_size"], told["instance_group"][0]["kind"]) == (8, "KIND_CPU")


def test_a_configuration_that_cannot_be_read_is_told(folder: Path) -> None:
    (folder / "config.pbtxt").write_text("nonsense")
    with pytest.raises(ModelRefused):
        configuration(folder, frozenset({1}))


def test_a_change_of_the_pins_is_a_change_of_the_model() -> None:
    pins = Pins()
    assert pins.mark("m", "abc") == "abc"
    assert pins.use({"m": frozenset({2, 1})})
    assert not pins.use({"m": frozenset({1, 2})})
    assert (pins.mark("m", "abc"), pins.mark("other", "abc")) == ("abc+1,2", "abc")
