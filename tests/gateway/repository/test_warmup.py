import struct
from pathlib import Path

import numpy as np

from gateway.repository.description import Description, Tensor
from gateway.repository.warmup import Warmup, WarmupInput, write_warmup


def described(*inputs: Tensor, batches: bool = True) -> Description:
    return Description("onnx", "onnxruntime", "onnx", inputs, (), batches, "model.onnx")


def test_zeros_need_no_file(tmp_path: Path) -> None:
    model = described(Tensor("image", "FP32", (-1, 3, -1)), Tensor("flag", "BOOL", (-1,)))
    sample = {"image": np.ones((2, 3, 8), np.float32), "flag": np.zeros(2, bool)}
    assert write_warmup(tmp_path, model, sample) == Warmup(
        2, (WarmupInput("image", "FP32", (3, 8)), WarmupInput("flag", "BOOL", ()))
    )
    assert not list(tmp_path.iterdir())


def test_numbers_that_decide_something_lie_in_files_one_element_of_the_batch_each(tmp_path: Path) -> None:
    model = described(Tensor("a/b:0", "INT64", (-1, -1)), Tensor("n", "UINT8", (-1,)))
    sample = {"a/b:0": np.array([[1, 2], [3, 4]], ">i8"), "n": np.array([7, 8], np.uint8)}
    warmup = write_warmup(tmp_path, model, sample)
    assert warmup.inputs == (WarmupInput("a/b:0", "INT64", (2,), "input0"), WarmupInput("n", "UINT8", (), "input1"))
    assert (tmp_path / "warmup/input0").read_bytes() == struct.pack("<2q", 1, 2)
    assert (tmp_path / "warmup/input1").read_bytes() == b"\x07"


def test_texts_stand_behind_their_lengths(tmp_path: Path) -> None:
    model = described(Tensor("text", "BYTES", (-1,)), batches=False)
    warmup = write_warmup(tmp_path, model, {"text": np.array([b"ab", "ü"], object)})
    assert warmup == Warmup(0, (WarmupInput("text", "BYTES", (2,), "input0"),))
    assert (tmp_path / "warmup/input0").read_bytes() == b"\x02\0\0\0ab\x02\0\0\0\xc3\xbc"


def test_a_large_sample_makes_a_small_batch_and_optional_inputs_stay_out(tmp_path: Path) -> None:
    model = described(Tensor("a", "FP32", (-1, 1)), Tensor("b", "FP32", (-1, 1), optional=True))
    assert write_warmup(tmp_path, model, {"a": np.ones((100, 1), np.float32)}) == Warmup(
        4, (WarmupInput("a", "FP32", (1,)),)
    )
