from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tensorflow'")

import tensorflow as tf

from gateway.core.errors import ModelRefused
from gateway.repository.description import Tensor
from gateway.repository.kinds.hinted import UNKNOWN
from gateway.repository.kinds.saved_model_file import SavedModelFile, SignatureDef, read_saved_model
from tests.backends.sample_models import VALUES, saved_model, saved_model_identity


def test_every_datatype_is_read_as_tensorflow_wrote_it(tmp_path: Path) -> None:
    found = read_saved_model(saved_model_identity(tmp_path / "identity"))
    signature = found.signatures["serving_default"]
    assert {tensor.name: tensor.datatype for tensor in signature.inputs} == {f"IN_{name}": name for name in VALUES}
    assert {tensor.name: tensor.datatype for tensor in signature.outputs} == {f"OUT_{name}": name for name in VALUES}
    assert {tensor.shape for tensor in signature.inputs} == {(-1, -1)}
    assert found.tensorflow == tf.__version__


def test_unknown_ranks_scalars_and_what_cannot_be_carried_are_told_apart(tmp_path: Path) -> None:
    def several(x: Any, n: Any, c: Any) -> dict[str, Any]:
        return {"y": x * n, "z": c}

    inputs = {"x": (None, tf.float32), "n": ([], tf.float32), "c": ([2], tf.complex64)}
    found = read_saved_model(saved_model(tmp_path / "model", {"one": (several, inputs)}))
    assert found == SavedModelFile(
        {
            "one": SignatureDef(
                (Tensor("c", "", (2,)), Tensor("n", "FP32", ()), Tensor("x", "FP32", UNKNOWN)),
                (Tensor("y", "FP32", UNKNOWN), Tensor("z", "", (2,))),
            )
        },
        tf.__version__,
    )


def test_a_file_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x12\x7fshort")
    with pytest.raises(ModelRefused, match=r"'saved_model\.pb' is cut short"):
        read_saved_model(tmp_path)


def test_a_file_without_a_graph_for_serving_is_refused(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ModelRefused, match="no graph that is tagged 'serve', but none at all"):
        read_saved_model(tmp_path)
