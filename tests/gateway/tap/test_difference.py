import subprocess
import sys

from gateway.tap.difference import Difference, OutputDifference


def test_agreeing_is_a_verdict() -> None:
    assert Difference("agreed").agrees
    assert not Difference("differed", "off", 1.0, {"y": OutputDifference("FP32", (1,), agrees=False)}).agrees
    assert not Difference("unreadable", "it is no JSON").agrees


def test_reports_are_read_without_what_comparing_takes() -> None:
    code = "import gateway.tap.report.page, gateway.tap.report.markdown, sys; print('numpy' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"
