from pathlib import Path

from backends.common.fake import FakeModelConfig, FakePythonBackend, FakeRequest, FakeTensor
from backends.common.triton_api import InferenceRequest, ModelConfig, PythonBackend, Tensor


def test_the_double_offers_what_the_protocols_name() -> None:
    doubles: list[tuple[object, type]] = [
        (FakePythonBackend(Path()), PythonBackend),
        (FakeRequest([]), InferenceRequest),
        (FakeModelConfig({}), ModelConfig),
    ]
    for double, protocol in doubles:
        for name in (name for name in vars(protocol) if not name.startswith("_")):
            assert hasattr(double, name), f"{type(double).__name__}.{name}"
    assert hasattr(FakeTensor, "as_numpy")
    assert "as_numpy" in vars(Tensor)
