from __future__ import annotations

import sys
from pathlib import Path

import pytest

from converters.errors import BadData, ConfigError, ConversionError
from converters.user_code import user_function, users_own


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_function_in_a_file(tmp_path: Path) -> None:
    write(tmp_path, "own/metric.py", "def double(x):\n    return 2 * x\n")
    assert user_function("own/metric.py:double", tmp_path)(4) == 8


def test_absolute_path_needs_no_base(tmp_path: Path) -> None:
    path = write(tmp_path, "metric.py", "def double(x):\n    return 2 * x\n")
    assert user_function(f"{path}:double", Path("/"))(4) == 8


def test_function_in_a_module_of_the_environment() -> None:
    assert user_function("math:sqrt", Path())(16) == 4


def test_function_in_a_module_beside_the_configuration(tmp_path: Path) -> None:
    write(tmp_path, "own_measures_a.py", "def triple(x):\n    return 3 * x\n")
    assert user_function("own_measures_a:triple", tmp_path)(4) == 12
    assert str(tmp_path) not in sys.path


def test_file_finds_what_lies_beside_it_and_may_hold_dataclasses(tmp_path: Path) -> None:
    write(tmp_path, "own/helper_of_b.py", "FACTOR = 5\n")
    write(
        tmp_path,
        "own/b.py",
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom helper_of_b import FACTOR\n"
        "@dataclass\nclass Value:\n    x: int\ndef five(x):\n    return Value(FACTOR * x).x\n",
    )
    assert user_function("own/b.py:five", tmp_path)(2) == 10


def test_file_is_read_anew(tmp_path: Path) -> None:
    write(tmp_path, "m.py", "def f():\n    return 1\n")
    assert user_function("m.py:f", tmp_path)() == 1
    write(tmp_path, "m.py", "def f():\n    return 2\n")
    assert user_function("m.py:f", tmp_path)() == 2
    assert [path.name for path in tmp_path.iterdir()] == ["m.py"]


@pytest.mark.parametrize("reference", ["", "metric", "metric:", ":f", "a.py:f()", "a:b.c"])
def test_what_names_no_function(reference: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="module:function"):
        user_function(reference, tmp_path)


def test_missing_file_module_and_function(tmp_path: Path) -> None:
    write(tmp_path, "m.py", "def ranking():\n    return 1\nlimit = 3\n")
    with pytest.raises(ConfigError, match="there is no file"):
        user_function("none.py:f", tmp_path)
    with pytest.raises(ConfigError, match="no module 'surely_not_there'"):
        user_function("surely_not_there.deep:f", tmp_path)
    with pytest.raises(ConfigError, match="did you mean 'ranking'"):
        user_function("m.py:rankng", tmp_path)
    with pytest.raises(ConfigError, match="define it there"):
        user_function("m.py:zzz", tmp_path)
    with pytest.raises(ConfigError, match="is a int"):
        user_function("m.py:limit", tmp_path)


def test_missing_import_inside_a_users_file_is_told_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, "m.py", "\nimport surely_not_there\ndef f():\n    return 1\n")
    with pytest.raises(ConversionError, match=r"m\.py:2 with ModuleNotFoundError") as told:
        user_function("m.py:f", tmp_path)
    assert not isinstance(told.value, ConfigError)
    write(tmp_path, "own_measures_c.py", "import surely_not_there_either\n")
    with pytest.raises(ConversionError, match=r"own_measures_c\.py:1 with ModuleNotFoundError|ModuleNotFoundError"):
        user_function("own_measures_c:f", tmp_path)


def test_syntax_error_and_exit_while_loading(tmp_path: Path) -> None:
    write(tmp_path, "m.py", "x = 1\ndef f(:\n")
    with pytest.raises(ConversionError, match=r"m\.py:2 with SyntaxError"):
        user_function("m.py:f", tmp_path)
    write(tmp_path, "leaves.py", "import sys\nsys.exit(3)\n")
    with pytest.raises(ConversionError, match=r"leaves\.py:2 with SystemExit"):
        user_function("leaves.py:f", tmp_path)


def test_error_in_a_call_is_told_at_the_users_innermost_line(tmp_path: Path) -> None:
    write(
        tmp_path, "own/m.py", "import json\ndef inner(x):\n    return json.loads(x)\ndef f(x):\n    return inner(x)\n"
    )
    for reference in ("own/m.py:f", "./own/m.py:f"):
        f = user_function(reference, tmp_path)
        with (
            pytest.raises(ConversionError, match=r"own/m\.py:3 with JSONDecodeError: Expecting value"),
            users_own(reference),
        ):
            f("no json")


def test_error_in_a_call_of_a_modules_function(tmp_path: Path) -> None:
    write(tmp_path, "own_measures_d.py", "def f(x):\n    raise ValueError\n")
    f = user_function("own_measures_d:f", tmp_path)
    with pytest.raises(ConversionError, match=r"own_measures_d\.py:2 with ValueError; "), users_own("own_measures_d:f"):
        f(1)


def test_wrong_number_of_arguments_has_no_line_in_the_users_file(tmp_path: Path) -> None:
    write(tmp_path, "m.py", "def f(x):\n    return x\n")
    f = user_function("m.py:f", tmp_path)
    with pytest.raises(ConversionError, match=r"failed with TypeError: .*check what it takes"), users_own("m.py:f"):
        f()


def test_errors_of_this_package_and_interrupts_pass() -> None:
    meant = BadData("the folder is empty", hint="put images into it")
    with pytest.raises(BadData) as told, users_own("m.py:f"):
        raise meant
    assert told.value is meant
    with pytest.raises(KeyboardInterrupt), users_own("m.py:f"):
        raise KeyboardInterrupt


def test_for_want_of_memory_nobodys_code_is_to_blame() -> None:
    with pytest.raises(MemoryError), users_own("own.py:data"):
        raise MemoryError
