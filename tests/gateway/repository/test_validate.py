"""Trials of models, against a framework that is a few lines of numpy."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.compare import Array
from gateway.repository.description import Description, Hints, Tensor
from gateway.repository.kinds.base import Target
from gateway.repository.validate import Validation, validate
from tests.gateway.repository.dropped import python_model

SAMPLE = {"x": np.arange(8, dtype=np.float32).reshape(2, 4)}
DESCRIPTION = Description(
    "fake", "python", None, (Tensor("x", "FP32", (-1, 4)),), (Tensor("y", "FP32", (-1, 4)),), True, "model.py"
)


class FakeKind:
    """A framework whose answer is given."""

    name, title = "fake", "Fake framework (.fake)"

    def __init__(self, answer: Mapping[str, Array]) -> None:
        self._answer = answer

    def recognise(self, source: Path) -> bool:
        return False

    def companions(self, source: Path) -> tuple[Path, ...]:
        return ()

    def prepare(self, source: Path, target: Target, hints: Hints) -> Description:
        raise NotImplementedError

    def reference(self, version: Path, description: Description, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        return self._answer


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    path = list(sys.path)
    yield
    sys.path[:] = path
    for name in ("model", "triton_python_backend_utils"):
        sys.modules.pop(name, None)


def config(batch: int = 8, **more: Any) -> dict[str, Any]:
    dims = [4] if batch else [-1, 4]
    tensors = {
        side: [{"name": name, "data_type": "TYPE_FP32", "dims": dims}]
        for side, name in (("input", "x"), ("output", "y"))
    }
    return {"name": "m", "max_batch_size": batch, **tensors, **more}


def tried(  # each by name
    folder: Path,
    execute: str = "y = x * 2",
    answer: Mapping[str, Array] | None = None,
    samples: tuple[Mapping[str, Array], ...] = (SAMPLE,),
    hints: Hints | None = None,
    **more: Any,
) -> Validation:
    version = python_model(folder / "1", initialize="np.seterr(all='ignore')", execute=execute)
    given = answer if answer is not None else {"y": SAMPLE["x"] * 2}
    return validate(version, config(**more), DESCRIPTION, FakeKind(given), samples, hints or Hints())


def details(found: Validation) -> dict[str, str]:
    return {check.name: check.detail for check in found.checks}


def test_a_model_that_does_what_it_must_passes_every_check(tmp_path: Path) -> None:
    found = tried(tmp_path)
    assert details(found) == {
        "load": "by the backend 'python'",
        "run": "on a sample: x [2, 4]",
        "outputs": "y [2, 4]",
        "deterministic": "max difference 0",
        "batch": "1 and 2: max difference 0",
        "same answer": "max difference 0 to Fake framework",
        "finite": "every number",
    }
    assert found.sample is not None
    assert all(check.seconds >= 0 for check in found.checks)


@pytest.mark.parametrize(
    ("execute", "reason"),
    [
        ("y = x.astype(np.float64)", "output 'y' is float64, but FP32 was said"),
        ("y = x[:, :2]", r"has the shape \[2, 2\], but \[-1, 4\] was said .* say -1 where the size varies"),
        ("y = x / 0 * 0", "'y' has 8 numbers that are NaN or infinite"),
        ("y = x + self.calls", "deterministic: false"),
        ("y = x - x.mean()", "alone than in a batch of 2"),
        ("return []", "gives no answer"),
        ("return None", "gives no answer"),
        ("return [pb_utils.InferenceResponse([])] * 2", "2 responses for 1 request"),
    ],
)
def test_wrong_answers_are_refused_with_numbers(execute: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match=reason):
        tried(tmp_path, execute, answer={})


def test_another_answer_than_the_framework_s_is_refused_with_the_worst_number(tmp_path: Path) -> None:
    wrong = SAMPLE["x"] * 2
    wrong[1, 3] += 0.5
    with pytest.raises(ModelRefused) as refused:
        tried(tmp_path, answer={"y": wrong})
    assert refused.value.message == (
        "the model differs from what Fake framework itself gives: output 'y' differs in 1 of 8 numbers by up to 0.5 "
        "(at [1, 3]: 14.0, not 14.5), where 0.0001 is tolerated; if that is to be expected, say so in model.yaml: "
        "tolerance: a larger number"
    )


def test_a_larger_tolerance_lets_it_pass(tmp_path: Path) -> None:
    found = tried(tmp_path, answer={"y": SAMPLE["x"] * 2 + 0.25}, hints=Hints(tolerance=0.5))
    assert details(found)["same answer"] == "max difference 0.25 to Fake framework"


def test_another_shape_than_the_framework_s_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match=r"has the shape \[2, 4\], not \[8\]"):
        tried(tmp_path, answer={"y": SAMPLE["x"].reshape(-1)})


def test_what_the_framework_cannot_give_is_not_compared(tmp_path: Path) -> None:
    assert "same answer" not in details(tried(tmp_path, answer={}))


def test_not_a_number_passes_only_where_the_framework_says_so_too(tmp_path: Path) -> None:
    found = tried(tmp_path, "y = x / 0", answer={"y": SAMPLE["x"] / np.float32(0)})
    assert details(found)["finite"] == "y: 8 NaN or infinite, in Fake framework too"


def test_the_first_sample_that_the_model_accepts_is_taken(tmp_path: Path) -> None:
    picky = "if x.shape[0] > 1: return [pb_utils.InferenceResponse(error=pb_utils.TritonError('too many'))]\ny = x * 2"
    one = {"x": SAMPLE["x"][:1]}
    found = tried(tmp_path, picky, samples=(SAMPLE, one), answer={}, batch=0)
    assert found.sample is not None
    assert found.sample["x"].shape == (1, 4)


def test_a_model_that_accepts_no_sample_says_why_and_asks_for_one(tmp_path: Path) -> None:
    with pytest.raises(
        ModelRefused, match=r"fails on the sample: never; give inputs that it accepts in a sample \.npz"
    ):
        tried(tmp_path, "return [pb_utils.InferenceResponse(error=pb_utils.TritonError('never'))]")


def test_a_sample_is_cut_to_the_largest_batch(tmp_path: Path) -> None:
    assert details(tried(tmp_path, batch=1, answer={}))["run"] == "on a sample: x [1, 4]"


def test_a_batch_of_one_is_doubled_to_see_whether_the_model_batches(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="alone than in a batch of 2"):
        tried(tmp_path, "y = x * len(x)", samples=({"x": np.ones((1, 4), np.float32)},))


def test_a_model_that_is_random_on_purpose_passes_where_that_was_said(tmp_path: Path) -> None:
    found = tried(tmp_path, "y = np.random.rand(*x.shape).astype(np.float32)", {}, hints=Hints(deterministic=False))
    assert "deterministic" not in details(found)


def test_a_missing_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="gave no output 'y', but 'z'"):
        tried(tmp_path, "return [pb_utils.InferenceResponse([pb_utils.Tensor('z', x)])]")


@pytest.mark.parametrize("section", ["sequence_batching", "ensemble_scheduling"])
def test_what_needs_triton_s_scheduler_is_not_run(section: str, tmp_path: Path) -> None:
    more: dict[str, Any] = {section: {}}
    found = tried(tmp_path, "raise ValueError", **more)
    assert details(found) == {"load": "not tried here: it needs Triton's scheduler"}
    assert found.sample is None


def test_a_model_that_calls_other_models_is_not_run(tmp_path: Path) -> None:
    found = tried(tmp_path, "y = pb_utils.InferenceRequest(model_name='other').exec()")
    assert "only a running Triton has" in details(found)["run"]
