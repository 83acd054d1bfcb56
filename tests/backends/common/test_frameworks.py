import sys
from pathlib import Path

import pytest

from backends.common.errors import LoadError
from backends.common.frameworks import import_framework


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_module_is_imported() -> None:
    assert import_framework("json", extra="onnx", attribute="loads") is sys.modules["json"]


def test_a_missing_framework_names_the_extra_that_has_it() -> None:
    with pytest.raises(LoadError, match=r"'no_such_thing' is not installed; .*pip install 'triton-gateway\[onnx\]'"):
        import_framework("no_such_thing", extra="onnx", attribute="x")


def test_our_own_folder_of_that_name_is_not_the_framework(folder: Path) -> None:
    (folder / "fw_of_that_name").mkdir()
    with pytest.raises(LoadError, match="'fw_of_that_name' is not installed"):
        import_framework("fw_of_that_name", extra="onnx", attribute="InferenceSession")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_thing", "'fw_broken' is installed, but needs 'no_such_thing'; repair it: pip install"),
        ("raise OSError('libx.so: cannot open')", r"fails to import \(libx.so: cannot open\); repair it: pip install"),
    ],
)
def test_a_broken_framework_says_what_is_wrong(folder: Path, source: str, message: str) -> None:
    (folder / "fw_broken.py").write_text(source)
    with pytest.raises(LoadError, match=message):
        import_framework("fw_broken", extra="pytorch", attribute="x")
