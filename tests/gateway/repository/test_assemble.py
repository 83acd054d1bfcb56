import errno
import os
from pathlib import Path

import pytest

from gateway.repository.assemble import link, named, settings_in


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


def test_a_folder_is_linked_with_its_times_and_without_compiled_python(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "__pycache__").mkdir(parents=True)
    (source / "file").write_text("x")
    (source / "link").symlink_to("file")
    os.utime(source, ns=(5, 5))
    link(source, tmp_path / "target")
    target = tmp_path / "target"
    assert sorted(path.name for path in target.iterdir()) == ["file", "link"]
    assert (target / "file").samefile(source / "file")
    assert (target / "link").readlink() == Path("file")
    assert target.stat().st_mtime_ns == 5


def test_where_there_can_be_no_links_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    (tmp_path / "source").write_text("x")
    os.utime(tmp_path / "source", ns=(5, 5))
    monkeypatch.setattr(os, "link", refuse)
    link(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").read_text() == "x"
    assert (tmp_path / "target").stat().st_mtime_ns == 5


def test_settings_are_what_belongs_to_no_version_and_not_to_the_gateway(tmp_path: Path) -> None:
    for name in ("1", ".retired", ".settings", "docs"):
        (tmp_path / name).mkdir()
    for name in ("config.pbtxt", ".triton-gateway.json", ".triton-gateway.json.new", "labels.txt"):
        (tmp_path / name).write_text("x")
    assert sorted(settings_in(tmp_path)) == ["config.pbtxt", "docs", "labels.txt"]
    assert settings_in(tmp_path / "missing") == {}
