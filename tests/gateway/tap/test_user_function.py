from pathlib import Path

import numpy as np
import pytest

from gateway.core.errors import ConfigError
from gateway.tap.user_function import FunctionFailed, Judgement, UserFunction

NOTHING = {"y": np.ones(1)}


def function(tmp_path: Path, body: str, least: float = 0.5) -> UserFunction:
    (tmp_path / "own.py").write_text(body)
    return UserFunction(f"{tmp_path}/own.py:f", least)


@pytest.mark.parametrize(
    ("gives", "judgement"),
    [
        ("True", Judgement(True, 1.0)),
        ("False", Judgement(False, 0.0)),
        ("numpy.bool_(True)", Judgement(True, 1.0)),
        ("0.5", Judgement(True, 0.5)),
        ("numpy.float32(0.25)", Judgement(False, 0.25)),
        ("1", Judgement(True, 1.0)),
    ],
)
def test_truth_values_and_numbers_are_judgements(tmp_path: Path, gives: str, judgement: Judgement) -> None:
    own = function(tmp_path, f"import numpy\ndef f(expected, got):\n    return {gives}\n")
    assert own.judge(NOTHING, NOTHING) == judgement


@pytest.mark.parametrize("gives", ["None", "2", "-0.1", "float('nan')", "'yes'", "[1, 2]", "expected['y'] == got['y']"])
def test_anything_else_is_none(tmp_path: Path, gives: str) -> None:
    own = function(tmp_path, f"def f(expected, got):\n    return {gives}\n")
    with pytest.raises(FunctionFailed, match=r"gave .*; give True, False or a number from 0 to 1"):
        own.judge(NOTHING, NOTHING)


def test_failures_are_told_with_the_users_own_line(tmp_path: Path) -> None:
    own = function(tmp_path, "import json\n\ndef f(expected, got):\n    return json.loads('{')\n")
    with pytest.raises(FunctionFailed, match=r"own.py:f failed in line 4 with JSONDecodeError: Expecting property"):
        own.judge(NOTHING, NOTHING)
    leaves = function(tmp_path, "def f(expected, got):\n    raise SystemExit\n")
    with pytest.raises(FunctionFailed, match=r"failed in line 2 with SystemExit$"):
        leaves.judge(NOTHING, NOTHING)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("x = 1\nraise ValueError('no')\n", r"own.py failed in line 2 with ValueError: no"),
        ("def f(:\n", r"own.py failed in line 1 with SyntaxError: "),
        ("import not_there\n", "failed in line 1 with ModuleNotFoundError: "),
        ("def g():\n    pass\n", "has no function 'f'; it has: g"),
        ("f = 3\n", "has no function 'f'; it has: none"),
    ],
)
def test_files_that_do_not_load_are_told_with_their_line(tmp_path: Path, body: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        function(tmp_path, body)


@pytest.mark.parametrize("reference", ["", "own", "own:f", "own.py", "own.py:", "own.py:1"])
def test_what_names_no_function_is_told(reference: str) -> None:
    with pytest.raises(ConfigError, match=r"names no function; write it as FILE.py:NAME"):
        UserFunction(reference, 0.5)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file"):
        UserFunction(f"{tmp_path}/none.py:f", 0.5)


def test_a_changed_file_is_read_anew_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    assert function(tmp_path, "def f(e, g):\n    return True\n").judge(NOTHING, NOTHING).agrees
    assert not function(tmp_path, "def f(e, g):\n    return 0.0\n").judge(NOTHING, NOTHING).agrees
    assert [each.name for each in tmp_path.iterdir()] == ["own.py"]
