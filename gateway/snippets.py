"""Commands that call a sample model, to be copied from the terminal: with curl, and with Python.

They work as they are printed: in bash, with the interpreter and the files that are on this machine.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

_ORDER = ("magika", "silero_vad", "basic_pitch_onnx", "basic_pitch")

_PITCH_TENSORS = {
    "basic_pitch": ("input_2", "note"),
    "basic_pitch_onnx": ("serving_default_input_2:0", "StatefulPartitionedCall:1"),
}

_MAGIKA_CURL = """\
F={file}
curl -s {http}/v2/models/magika/infer -d '{{"inputs": [{{"name": "bytes", "shape": [1, 2048], "datatype": "INT32",
  "data": ['"$( (head -c 1024 "$F"; tail -c 1024 "$F") | od -An -v -tu1 | xargs | tr ' ' , )"']}}],
  "outputs": [{{"name": "target_label", "parameters": {{"classification": 3}}}}]}}'"""

_MAGIKA_PYTHON = """\
{python} - <<'END'
import numpy, tritonclient.http as triton
data = numpy.fromfile({quoted}, "uint8")
tensor = triton.InferInput("bytes", [1, 2048], "INT32")
tensor.set_data_from_numpy(numpy.concatenate([data[:1024], data[-1024:]]).astype("int32")[None])
output = triton.InferRequestedOutput("target_label", class_count=3)
client = triton.InferenceServerClient("{http}")
print(client.infer("magika", [tensor], outputs=[output]).as_numpy("target_label"))
END"""

# The 16-bit samples of this file begin at byte 104, 32000 bytes a second: this is the second after the tenth.
_SPEECH_CURL = """\
{{ printf '{{"inputs": [{{"name": "AUDIO", "shape": [1, 16000], "datatype": "FP32", "data": [0'
  od -An -v -td2 -j 320106 -N 31998 {file} | awk '{{for (i = 1; i <= NF; i++) printf ",%.5f", $i / 32768}}'
  printf ']}}]}}'; }} | curl -s {http}/v2/models/silero_vad/infer -d @-"""

_SPEECH_PYTHON = """\
{python} - <<'END'
import numpy, tritonclient.http as triton
samples = numpy.fromfile({quoted}, "<i2", offset=104)[160000:176000] / 32768
tensor = triton.InferInput("AUDIO", [1, 16000], "FP32")
tensor.set_data_from_numpy(samples.astype("float32")[None])
client = triton.InferenceServerClient("{http}")
print(client.infer("silero_vad", [tensor]).as_numpy("SPEECH"))
END"""

# A sine of 440 Hz, which is MIDI pitch 69.
_PITCH_CURL = """\
{{ printf '{{"inputs": [{{"name": "{audio}", "shape": [1, 43844, 1], "datatype": "FP32", "data": [0'
  awk 'BEGIN {{for (i = 1; i < 43844; i++) printf ",%.4f", sin(i * 0.125379)}}'
  printf ']}}], "outputs": [{{"name": "{note}"}}]}}'; }} | curl -s {http}/v2/models/{model}/infer -d @- | head -c 300"""

_PITCH_PYTHON = """\
{python} - <<'END'
import numpy, tritonclient.http as triton
tensor = triton.InferInput("{audio}", [1, 43844, 1], "FP32")
tensor.set_data_from_numpy(numpy.sin(numpy.arange(43844) * 0.125379).astype("float32").reshape(1, -1, 1))
client = triton.InferenceServerClient("{http}")
print("MIDI pitch", 21 + client.infer("{model}", [tensor]).as_numpy("{note}")[0].mean(axis=0).argmax())
END"""


@dataclass(frozen=True, slots=True)
class Snippets:
    """The same call twice, for bash."""

    curl: str
    python: str


def snippets_for(models: Collection[str], http: str, python: Path, examples: Path) -> Snippets | None:
    """How to call one of the models that are ready: the one whose answer is the easiest to read.

    Args:
        models: that are ready.
        http: HOST:PORT of the gateway.
        python: an interpreter that has `numpy` and `tritonclient`.
        examples: the examples' folder; its files are what is sent.

    Returns:
        the commands; None if no sample model is ready.
    """
    model = next((name for name in _ORDER if name in models), None)
    if model is None:
        return None
    if model == "magika":
        file, texts = examples / "transcribe.py", (_MAGIKA_CURL, _MAGIKA_PYTHON)
    elif model == "silero_vad":
        file, texts = examples / "data" / "conversation" / "conversation.wav", (_SPEECH_CURL, _SPEECH_PYTHON)
    else:
        file, texts = examples, (_PITCH_CURL, _PITCH_PYTHON)
    audio, note = _PITCH_TENSORS.get(model, ("", ""))
    values = {"http": http, "model": model, "audio": audio, "note": note}
    values |= {"file": shlex.quote(str(file)), "quoted": repr(str(file)), "python": shlex.quote(str(python))}
    curl, code = (text.format_map(values) for text in texts)
    return Snippets(curl, code)
