from __future__ import annotations

from dataclasses import dataclass

import pytest

from converters.engines.base import BuildOptions
from converters.engines.explain import build_error, parse_error
from converters.engines.messages import Messages
from converters.errors import ConversionError, OutOfResources, ToolMissing, Unsupported


def explained(message: str, workspace_mib: int | None = None) -> ConversionError:
    messages = Messages(errors=[message] if message else [])
    return build_error(messages, BuildOptions(workspace_mib=workspace_mib))


@pytest.mark.parametrize(
    ("message", "kind", "said"),
    [
        ("Error Code 2: OutOfMemory (Requested size was 134218111 bytes.)", OutOfResources, "asked for 128 MiB more"),
        ("Unexpected exception std::bad_alloc", OutOfResources, "ran out of memory"),
        (
            "Cannot compile for target(s) sm75, because the model contains HW-specific datatypes: b16. In f at g.cpp:1",
            Unsupported,
            "sm_75 does not have the type b16",
        ),
        (
            "Input dimensions with this name have different constant values or have contradictory "
            "IOptimizationProfile kMIN/kMAX constraints.",
            Unsupported,
            "different sizes to dimensions",
        ),
        (
            "Error Code 1: Cuda Runtime (In f at x.cpp:1 (cudaError 35: CUDA driver too old))",
            ToolMissing,
            "needs a GPU",
        ),
        ("Error Code 9: Odd (The moon is full. In f at /_src/x.cpp:12)", Unsupported, "gave up: The moon is full"),
        ("", Unsupported, "did not say why"),
    ],
)
def test_build_errors(message: str, kind: type[ConversionError], said: str) -> None:
    error = explained(message)
    assert type(error) is kind
    assert said in error.what
    assert ".cpp" not in str(error)
    assert error.hint


def test_a_workspace_that_is_too_small_is_not_a_machine_that_is() -> None:
    message = "Error Code 2: OutOfMemory (Requested size was 67110016 bytes.)"
    assert "'workspace_mib: 64' allows" in explained(message, 64).what
    assert "ran out of memory" in explained(message, 4096).what


@dataclass
class Error:
    description: str
    name: str = ""
    operator: str = ""

    def desc(self) -> str:
        return self.description

    def node_name(self) -> str:
        return self.name

    def node_operator(self) -> str:
        return self.operator


class Parser:
    def __init__(self, *errors: Error) -> None:
        self._errors = errors
        self.num_errors = len(errors)

    def get_error(self, index: int) -> Error:
        return self._errors[index]


def test_every_refused_node_is_named() -> None:
    nodes = [Error('creator && "Plugin not found, is it?"', f"node{index}", "Swirl") for index in range(7)]
    error = parse_error(Parser(Error("false", "first", "StringNormalizer"), *nodes), {"Swirl": "acme"})
    assert "first (StringNormalizer): the builder has no StringNormalizer" in error.what
    assert "node3 (Swirl): the builder knows no operator Swirl of 'acme'" in error.what
    assert error.what.endswith("and 3 more")


def test_one_refused_node_is_the_place() -> None:
    error = parse_error(Parser(Error("Assertion failed: a == b: Axes do not match.", "n", "Concat")), {})
    assert (error.place.node, error.what) == ("n (Concat)", "Axes do not match")


def test_a_file_that_is_no_model() -> None:
    error = parse_error(Parser(Error("Assertion failed: model->Parse(&in): Failed to parse the ONNX model.")), {})
    assert error.what == "Failed to parse the ONNX model"
    assert "export it again" in error.hint
    assert "did not say why" in parse_error(Parser(), {}).what
