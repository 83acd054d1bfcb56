import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from converters.errors import ToolMissing
from converters.to_onnx.frameworks import deaf, framework, one_line, quiet


def test_a_missing_framework_says_which_extra_to_install() -> None:
    with pytest.raises(ToolMissing, match=r"'jaxx' is not installed; pip install 'triton-gateway\[convert\]'"):
        framework("jaxx", extra="convert", attribute="numpy")
    with pytest.raises(ToolMissing, match="'jaxx' is not installed"):
        framework("jaxx.io", extra="convert", attribute="numpy")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import jaxx_core", "is installed, but needs 'jaxx_core'"),
        ("raise OSError('libjaxx.so: cannot open')", "fails to import: libjaxx.so: cannot open; repair it"),
        ("", "'half_there' is not installed"),
    ],
    ids=["dependency", "library", "namespace"],
)
def test_a_broken_framework_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, told: str) -> None:
    (tmp_path / "half_there.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "half_there", raising=False)
    with pytest.raises(ToolMissing, match=told):
        framework("half_there", extra="convert", attribute="thing")
    sys.modules.pop("half_there", None)


def test_quiet_keeps_warnings_logs_and_prints_away(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with quiet():
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        logging.getLogger("anything").error("chatter")
        print("progress")
        print("progress", file=sys.stderr)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    logging.getLogger("anything").error("heard")
    assert [record.message for record in caplog.records] == ["heard"]


def test_an_error_in_quiet_passes() -> None:
    with pytest.raises(ValueError, match="kept"), quiet():
        raise ValueError("kept")


def test_what_c_code_writes_is_lost_only_within(capfd: pytest.CaptureFixture[str]) -> None:
    with deaf(1):
        os.write(1, b"chatter")
    os.write(1, b"heard")
    assert capfd.readouterr().out == "heard"


def test_messages_become_one_short_line() -> None:
    assert one_line(ValueError("\x1b[96mred\x1b[0m\n  line {{node a/b}} [[x]] two")) == "red line two"
    assert one_line(ValueError()) == "ValueError"
    assert len(one_line(ValueError("x" * 1000))) < 420


def test_importing_tensorflow_says_nothing() -> None:
    code = "from converters.to_onnx.frameworks import tensorflow; print(tensorflow().__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("tensorflow\n", "")
