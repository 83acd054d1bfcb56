import asyncio
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import triton_to_np_dtype

from gateway.repository.description import Tensor
from gateway.repository.examples.client import python_client
from gateway.repository.examples.names import class_name, identifiers
from tests.gateway.repository.examples.conftest import Called, answer, run
from tests.gateway.repository.examples.models import ALL, AWKWARD, EVERYTHING, IRIS, NAMED_AWKWARDLY, model

OPTIONAL = model(
    Tensor("x", "FP32", (-1, 2)),
    Tensor("mask", "BOOL", (-1, 2), optional=True),
    outputs=(Tensor("np", "BYTES", (-1, 2)), Tensor("self", "FP32", (-1, 2)), Tensor("class", "INT64", (-1, 2))),
    name="my-model.2",
)


def load(text: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("a_client")
    monkeypatch.setitem(sys.modules, "a_client", module)
    exec(compile(text, "a_client.py", "exec"), module.__dict__)  # noqa: S102 - that is what is tested
    return module


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("called", [*ALL.values(), OPTIONAL], ids=[*ALL, "optional"], indirect=True)
async def test_it_sends_what_it_is_given_and_returns_what_is_answered(
    called: Called, protocol: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = called.entry
    module = load(python_client(entry, called.http, called.grpc), monkeypatch)
    names = identifiers([tensor.name for tensor in entry.inputs], (), "input")
    given = {tensor.name: array_for(tensor) for tensor in entry.inputs if not tensor.optional}

    def call() -> tuple[Any, bool]:
        with getattr(module, class_name(entry.name))(protocol=protocol) as client:
            return client.infer(**{names[name]: array for name, array in given.items()}), client.is_ready()

    result, ready = await asyncio.to_thread(call)
    assert ready
    [received] = called.received
    assert received.keys() == given.keys()
    assert all(np.array_equal(received[name], given[name]) for name in given)
    for tensor, found in zip(entry.outputs, vars(result).values(), strict=True):
        expected = answer(tensor.datatype)
        assert found.dtype == expected.dtype
        assert [_plain(each) for each in found.ravel()] == [_plain(each) for each in expected.ravel()]


def array_for(tensor: Tensor) -> "np.ndarray[Any, Any]":
    shape = [3 if size < 0 else size for size in tensor.shape]
    if tensor.datatype == "BYTES":
        return np.full(shape, "wört", dtype=object)
    return np.ones(shape, triton_to_np_dtype(tensor.datatype))


def _plain(element: Any) -> Any:
    return element.decode() if isinstance(element, bytes) else element


def test_a_wrong_array_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    with load(python_client(IRIS), monkeypatch).Iris() as client:
        with pytest.raises(TypeError, match="x: the array must be float32, not float64; see numpy's `astype`"):
            client.infer(x=np.zeros((1, 4)))
        with pytest.raises(ValueError, match=r"x: the shape must be \[any, 4\], not \[4\]"):
            client.infer(x=np.zeros(4, np.float32))
        with pytest.raises(TypeError, match="x: a numpy array is wanted, not list"):
            client.infer(x=[[1, 2, 3, 4]])


def test_strings_are_taken_as_numpy_makes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    module = load(python_client(model(Tensor("text", "BYTES", (-1,)))), monkeypatch)
    assert module._check("text", np.array([["a"], ["b"]])).tolist() == [["a"], ["b"]]
    assert module._check("text", np.array([[b"a"]])).tolist() == [[b"a"]]


def test_the_docstrings_give_the_shapes() -> None:
    text = python_client(NAMED_AWKWARDLY)
    assert "moji: INT64 a single value. The model calls it '\\\\xe9moji \\\\U0001f389'." in text
    assert "x: FP32 [batch, 4]." in python_client(IRIS)
    assert AWKWARD not in text


async def test_the_type_checker_and_the_linter_have_nothing_to_say(tmp_path: Path) -> None:
    files = ["use.py"]
    for entry, name in ((IRIS, "iris"), (EVERYTHING, "everything"), (NAMED_AWKWARDLY, "awkward"), (OPTIONAL, "opt")):
        files.append(f"{name}_client.py")
        (tmp_path / files[-1]).write_text(python_client(entry), encoding="utf-8")
    await run(sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--quiet", str(tmp_path), cwd=tmp_path)
    use = "from iris_client import Iris\nreveal_type(Iris().infer)\n"
    (tmp_path / "use.py").write_text(use, encoding="utf-8")
    said = await run(sys.executable, "-m", "mypy", "--strict", "--config-file=", *files, cwd=tmp_path)
    assert "Success: no issues found in 5 source files" in said
    assert "def (*, x: numpy.ndarray[" in said
    assert ") -> iris_client.IrisResult" in said
