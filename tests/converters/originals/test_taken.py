import pytest

from converters.errors import ConfigError
from converters.originals.base import ExportOptions
from converters.originals.recognise import KINDS
from converters.originals.taken import TAKEN, check_taken


def test_the_kinds_are_those_that_there_are(tmp_path_factory: pytest.TempPathFactory) -> None:
    kinds = {str(kind.original(tmp_path_factory.getbasetemp()).kind) for kind in KINDS} | {"factory"}
    assert TAKEN.keys() <= kinds


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        ("onnx", ExportOptions(outputs=("y",)), "a model of kind onnx takes no 'outputs': the outputs keep the names"),
        ("onnx", ExportOptions(dynamic={"x": {1: "n"}}), "takes no 'dynamic'"),
        ("savedmodel", ExportOptions(outputs=("y",)), "takes no 'outputs'"),
        ("exported", ExportOptions(dynamic={"x": {1: "n"}}), "takes no 'dynamic'"),
        ("torchscript", ExportOptions(signature="other"), "only a SavedModel has signatures"),
    ],
)
def test_what_would_do_nothing_is_refused(kind: str, options: ExportOptions, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check_taken(kind, options)


def test_what_is_taken_is_not() -> None:
    check_taken("onnx", ExportOptions(opset=17))
    check_taken("savedmodel", ExportOptions(signature="other"))
    check_taken("torchscript", ExportOptions(dynamic={"x": {1: "n"}}, outputs=("y",)))
