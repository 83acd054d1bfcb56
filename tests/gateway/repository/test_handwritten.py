import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.description import Description, Tensor
from gateway.repository.handwritten import check, is_batched, join, parse, split

MODEL = Description(
    "onnx",
    "onnxruntime",
    "onnx",
    (Tensor("x", "FP32", (-1, 3, -1)), Tensor("k", "INT64", (-1,), optional=True)),
    (Tensor("y", "FP32", (-1, 10)), Tensor("z", "FP32", (-1,))),
    True,
    "model.onnx",
)
FIXED = Description(
    "onnx", "onnxruntime", "onnx", (Tensor("x", "FP32", (1, 3)),), (Tensor("y", "FP32", (-1,)),), False, "model.onnx"
)


def test_the_generated_part_is_told_from_the_hand_written_one() -> None:
    for by_hand in ("", "a: 1\n", "# only words\n"):
        assert split(join(by_hand, "b: 2\n")) == (by_hand, "b: 2\n")
    assert split("a: 1\n") == ("a: 1\n", "")
    assert join("a: 1", "") == "a: 1"


def test_a_line_without_an_end_gets_one() -> None:
    joined = join("a: 1", "b: 2\n")
    assert joined.startswith("a: 1\n# Added by triton-gateway (sha256 of what follows: ")
    assert split(joined) == ("a: 1\n", "b: 2\n")


def test_a_generated_part_that_was_edited_is_hand_written() -> None:
    edited = join("a: 1\n", "b: 2\n").replace("b: 2", "b: 3")
    assert split(edited) == (edited, "")
    again = join(edited, "c: 4\n")
    assert split(again) == (edited, "c: 4\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_batch_size: 1\n  input [ {", r"config\.pbtxt, line 2, column 11: Expected"),
        ("max_batch_size: x", r"config\.pbtxt, line 1, column 17: .*Couldn't parse integer"),
        (
            "\nmax_batchsize: 1",
            r"line 2, column 1: .* no field named \"max_batchsize\"\. Did you mean 'max_batch_size'",
        ),
        ("input { dimz: 1 }", r"line 1, column 9: .* Did you mean 'dims'"),
        ("input { data_type: TYPE_FP31 }", r"line 1, .* Did you mean 'TYPE_FP"),
        ('name: "a" name: "b"', r"should not have multiple \"name\" fields"),
    ],
)
def test_what_is_no_configuration_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ModelRefused, match=message):
        parse(text)


def hold(text: str, model: Description = MODEL) -> None:
    check("net", text, parse(text), model)


@pytest.mark.parametrize(
    "text",
    [
        "",
        'name: "net" backend: "onnxruntime" default_model_filename: "model.onnx"',
        'max_batch_size: 4 input { name: "x" data_type: TYPE_FP32 dims: [ 3, 224 ] }',
        'max_batch_size: 0 input { name: "x" data_type: TYPE_FP32 dims: [ 1, 3, -1 ] }',
        'input { name: "x" dims: [ 3, -1 ] }',
        'input { name: "x" dims: [ -1, 3, -1 ] }',
        'input { name: "x" }',
        'input [ { name: "x" }, { name: "k" optional: true } ]',
        'output { name: "y" dims: 10 }',
        'output { name: "z" data_type: TYPE_FP32 dims: [ 1 ] reshape { shape: [ ] } }',
        'max_batch_size: 4 output { name: "y" dims: [ 2, 5 ] reshape { shape: [ 10 ] } }',
    ],
)
def test_what_fits_the_model_is_taken(text: str) -> None:
    hold(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name: "other"', "config.pbtxt says name 'other', but it is 'net'; delete the line, or write 'net'"),
        ('backend: "pytorch"', "says backend 'pytorch', but it is 'onnxruntime'"),
        ('default_model_filename: "m.onnx"', "says default_model_filename 'm.onnx', but it is 'model.onnx'"),
        ('input { name: "X" }', "input 'X' of config.pbtxt is not in the model; it has 'x', 'k'"),
        ('output { name: "yy" }', "output 'yy' of config.pbtxt is not in the model; did you mean 'y'"),
        (
            'input { name: "x" data_type: TYPE_FP16 }',
            "input 'x': data_type is TYPE_FP16 in config.pbtxt, but TYPE_FP32 in the model",
        ),
        (
            'max_batch_size: 4 input { name: "x" dims: [ 4, 8 ] }',
            r"input 'x': dims are \[4, 8\] in config.pbtxt, but \[3, -1\] behind the batch in the model",
        ),
        (
            'max_batch_size: 0 input { name: "x" dims: [ 3, 8 ] }',
            r"dims are \[3, 8\] .* but \[-1, 3, -1\] in the model",
        ),
        ('output { name: "y" dims: -1 }', r"output 'y': dims are \[-1\] in config.pbtxt, but \[10\]"),
        ('input { name: "x" optional: true }', "input 'x' is optional in config.pbtxt, but the model has no default"),
        ('input { name: "k" }', "input 'x' of the model is missing in config.pbtxt; add it"),
    ],
)
def test_what_contradicts_the_model_is_refused_with_both_values(text: str, message: str) -> None:
    with pytest.raises(ModelRefused, match=message):
        hold(text)


def test_batches_that_the_model_cannot_do_are_refused() -> None:
    with pytest.raises(ModelRefused, match=r"max_batch_size 4, but input 'x' of the model has the shape \[1, 3\]"):
        hold("max_batch_size: 4", FIXED)
    hold('max_batch_size: 0 input { name: "x" dims: [ 1, 3 ] }', FIXED)


@pytest.mark.parametrize(
    ("text", "batched"),
    [
        ("", True),
        ("max_batch_size: 0", False),
        ("max_batch_size: 1", True),
        ('input { name: "x" dims: [ 3, 8 ] }', True),
        ('input { name: "x" dims: [ -1, 3, 8 ] }', False),
    ],
)
def test_dims_tell_whether_the_batch_is_left_out(text: str, batched: bool) -> None:
    assert is_batched(text, parse(text), MODEL) is batched
