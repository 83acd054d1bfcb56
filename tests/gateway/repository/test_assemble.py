from pathlib import Path

import pytest

from gateway.repository.assemble import named, settings_in


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ('name: "old"\nbackend: "x"', 'name: "new"\nbackend: "x"'),
        ("name:'old'", 'name: "new"'),
        ('# name: "a"\nbackend: "x"\nname: "old"', '# name: "a"\nbackend: "x"\nname: "new"'),
        ('input [ {\nname: "x"\n} ]\nname: "old"', 'input [ {\nname: "x"\n} ]\nname: "new"'),
        ('input {\nname: "x"\n}', 'input {\nname: "x"\n}'),
        ('backend: "name: }"\nname: "old"', 'backend: "name: }"\nname: "new"'),
        ('default_model_filename: "x"', 'default_model_filename: "x"'),
        ("", ""),
    ],
)
def test_only_the_name_of_the_model_is_another(config: str, expected: str) -> None:
    assert named(config, "new") == expected


def test_settings_are_what_belongs_to_no_version_and_not_to_the_gateway(tmp_path: Path) -> None:
    for name in ("1", ".retired", ".settings", "docs"):
        (tmp_path / name).mkdir()
    for name in ("config.pbtxt", ".triton-gateway.json", ".triton-gateway.json.new", "labels.txt"):
        (tmp_path / name).write_text("x")
    assert sorted(settings_in(tmp_path)) == ["config.pbtxt", "docs", "labels.txt"]
    assert settings_in(tmp_path / "missing") == {}
