"""The commands that are printed; that they work as printed is tested against a real Triton."""

import ast
import subprocess
from pathlib import Path

import pytest

from gateway.snippets import Snippets, snippets_for

MODELS = ("magika", "silero_vad", "basic_pitch_onnx", "basic_pitch")
EXAMPLES = Path("/somewhere/it's here/examples")


def snippets(*models: str) -> Snippets:
    found = snippets_for(models, "localhost:8080", Path("/venv/bin/python"), EXAMPLES)
    assert found is not None
    return found


def test_without_a_sample_model_there_is_nothing_to_print() -> None:
    assert snippets_for(["my_own"], "localhost:8080", Path("python"), EXAMPLES) is None


def test_the_model_whose_answer_is_the_easiest_to_read_is_taken() -> None:
    assert "/v2/models/magika/infer" in snippets(*MODELS).curl
    assert "/v2/models/basic_pitch/infer" in snippets("basic_pitch").curl


@pytest.mark.parametrize("model", MODELS)
def test_both_name_the_server_and_the_model(model: str) -> None:
    found = snippets(model)
    assert f"localhost:8080/v2/models/{model}/infer" in found.curl
    assert f'"{model}"' in found.python
    assert 'InferenceServerClient("localhost:8080")' in found.python


@pytest.mark.parametrize("model", MODELS)
def test_both_are_valid_bash_and_python(model: str) -> None:
    found = snippets(model)
    for text in (found.curl, found.python):
        checked = subprocess.run(["bash", "-n", "-c", text], capture_output=True, text=True, check=False)
        assert checked.stderr == ""
    first, *code, last = found.python.splitlines()
    assert (first, last) == ("/venv/bin/python - <<'END'", "END")
    ast.parse("\n".join(code))
