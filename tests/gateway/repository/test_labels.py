from pathlib import Path

import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.description import Description, Tensor
from gateway.repository.labels import read_labels, write_labels


def described(*outputs: Tensor, batches: bool = True) -> Description:
    return Description("onnx", "onnxruntime", "onnx", (), outputs, batches, "model.onnx")


def test_labels_become_a_file_that_the_output_names(tmp_path: Path) -> None:
    model = described(Tensor("scores", "FP32", (-1, 3)), Tensor("other", "FP32", (-1, 3)))
    labelled = write_labels(tmp_path, model, {"scores": ("cat", "dog", "Wölfe: alle")})
    assert [output.labels for output in labelled.outputs] == ["labels.txt", ""]
    assert (tmp_path / "labels.txt").read_text("utf-8") == "cat\ndog\nWölfe: alle\n"
    assert read_labels(tmp_path / "labels.txt") == ("cat", "dog", "Wölfe: alle")


def test_each_output_gets_a_file_of_its_own(tmp_path: Path) -> None:
    model = described(Tensor("a", "FP32", (-1, 1)), Tensor("b/c:0", "FP32", (-1, 172, 2)))
    labelled = write_labels(tmp_path, model, {"b/c:0": ("x", "y"), "a": ("z",)})
    assert [read_labels(tmp_path / output.labels) for output in labelled.outputs] == [("z",), ("x", "y")]


def test_labels_that_are_there_already_stay(tmp_path: Path) -> None:
    model = described(Tensor("a", "FP32", (-1, 1)), Tensor("b", "FP32", (-1, 1)))
    labelled = write_labels(tmp_path, write_labels(tmp_path, model, {"a": ("x",)}), {"b": ("y",)})
    assert [read_labels(tmp_path / output.labels) for output in labelled.outputs] == [("x",), ("y",)]


def test_no_labels_change_nothing(tmp_path: Path) -> None:
    model = described(Tensor("a", "FP32", (-1, 1)))
    assert write_labels(tmp_path, model, {}) == model
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("shape", "count"),
    [((-1, 3), 3), ((-1, -1), 7), ((-1, 172, 2), 2), ((-1, 2, 3), 6), ((-1,), 1), ((-1, 3, -1), 99)],
)
def test_the_number_of_labels_is_that_of_the_classes(tmp_path: Path, shape: tuple[int, ...], count: int) -> None:
    write_labels(tmp_path, described(Tensor("a", "FP32", shape)), {"a": ("x",) * count})


def test_too_few_labels_are_refused_with_both_numbers(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match=r"'a' of shape \[-1, 3\] has 3 classes, but 2 labels are given"):
        write_labels(tmp_path, described(Tensor("a", "FP32", (-1, 3))), {"a": ("x", "y")})
    with pytest.raises(ModelRefused, match="has 3 classes, but 2 labels"):
        write_labels(tmp_path, described(Tensor("a", "FP32", (3,)), batches=False), {"a": ("x", "y")})


def test_an_unknown_output_is_told_with_the_nearest(tmp_path: Path) -> None:
    model = described(Tensor("scores", "FP32", (-1, 1)))
    with pytest.raises(ModelRefused, match="'score', which is no output of the model; did you mean 'scores'"):
        write_labels(tmp_path, model, {"score": ("x",)})
    with pytest.raises(ModelRefused, match="the outputs are scores"):
        write_labels(tmp_path, model, {"image": ("x",)})


@pytest.mark.parametrize(("label", "problem"), [("a\nb", "has a line break"), ("a\rb", "has a line break"), ("", "is")])
def test_a_label_is_one_line(tmp_path: Path, label: str, problem: str) -> None:
    with pytest.raises(ModelRefused, match=f"label 2 of output 'a' {problem}"):
        write_labels(tmp_path, described(Tensor("a", "FP32", (-1, 2))), {"a": ("x", label)})


def test_label_files_of_every_editor_are_read(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes("\ufeffcat \r\ndog\r\n\r\n".encode())
    assert read_labels(path) == ("cat", "dog")


def test_a_label_file_that_is_not_text_is_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes(b"cat\nd\xf6g\n")
    with pytest.raises(ModelRefused, match=r"classes\.txt:2: this is not UTF-8"):
        read_labels(path)
    with pytest.raises(ModelRefused, match=r"none\.txt: cannot be read"):
        read_labels(tmp_path / "none.txt")
