"""Small Python models for the real Triton, one for each thing that the protocol can do with a model."""

from __future__ import annotations

from pathlib import Path

_HEAD = """
import json, os, time
import numpy as np
import triton_python_backend_utils as pb

def tensor(request, name):
    return pb.get_input_tensor_by_name(request, name).as_numpy()
"""

_TWICE = """
class TritonPythonModel:
    def execute(self, requests):
        return [pb.InferenceResponse([pb.Tensor("TWICE", tensor(r, "A") * 2)]) for r in requests]
"""

# Answers N times: 0, 1, ... N-1.
_COUNT_UP = """
class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            for i in range(int(tensor(request, "N").flat[0])):
                sender.send(pb.InferenceResponse([pb.Tensor("I", np.array([i], np.int32))]))
            sender.send(flags=pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""

# Adds up what one sequence sends.
_SUM = """
class TritonPythonModel:
    def initialize(self, args):
        self.sums = {}

    def execute(self, requests):
        return [self.answer(r) for r in requests]

    def answer(self, request):
        key = request.correlation_id()
        if request.flags() & pb.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START:
            self.sums[key] = 0
        self.sums[key] += int(tensor(request, "A").flat[0])
        return pb.InferenceResponse([pb.Tensor("SUM", np.array([[self.sums[key]]], np.int32))])
"""

# Takes as many seconds as it is told, and writes down what it was given in the file of its own folder's "log".
_SLEEP = """
class TritonPythonModel:
    def initialize(self, args):
        self.log = os.path.join(args["model_repository"], "log")

    def execute(self, requests):
        answers = []
        for request in requests:
            with open(self.log, "a") as log:
                log.write(f"{request.request_id()} {'cancelled' if request.is_cancelled() else 'run'}\\n")
            if request.is_cancelled():
                answers.append(pb.InferenceResponse(error=pb.TritonError("cancelled", pb.TritonError.CANCELLED)))
                continue
            seconds = tensor(request, "SECONDS")
            time.sleep(float(seconds.flat[0]))
            answers.append(pb.InferenceResponse([pb.Tensor("SLEPT", seconds)]))
        return answers
"""

_CONFIGS = {
    "twice": (
        _TWICE,
        """
        backend: "python"
        max_batch_size: 8
        input [ { name: "A" data_type: TYPE_FP32 dims: [ -1 ] } ]
        output [ { name: "TWICE" data_type: TYPE_FP32 dims: [ -1 ] label_filename: "labels.txt" } ]
        version_policy { all { } }
        """,
    ),
    "count_up": (
        _COUNT_UP,
        """
        backend: "python"
        max_batch_size: 0
        input [ { name: "N" data_type: TYPE_INT32 dims: [ 1 ] } ]
        output [ { name: "I" data_type: TYPE_INT32 dims: [ 1 ] } ]
        model_transaction_policy { decoupled: true }
        """,
    ),
    "sum": (
        _SUM,
        """
        backend: "python"
        max_batch_size: 4
        input [ { name: "A" data_type: TYPE_INT32 dims: [ 1 ] } ]
        output [ { name: "SUM" data_type: TYPE_INT32 dims: [ 1 ] } ]
        sequence_batching { max_sequence_idle_microseconds: 60000000 oldest { max_candidate_sequences: 4 } }
        """,
    ),
    "sleep": (
        _SLEEP,
        """
        backend: "python"
        max_batch_size: 0
        input [ { name: "SECONDS" data_type: TYPE_FP32 dims: [ 1 ] } ]
        output [ { name: "SLEPT" data_type: TYPE_FP32 dims: [ 1 ] } ]
        """,
    ),
}


def write_models(repository: Path, *names: str) -> None:
    """Write the named models into `repository`: any of twice, count_up, sum, sleep."""
    for name in names:
        code, config = _CONFIGS[name]
        folder = repository / name / "1"
        folder.mkdir(parents=True)
        (folder / "model.py").write_text(_HEAD + code)
        instances = "instance_group [ { count: 1 kind: KIND_CPU } ]\n"
        (folder.parent / "config.pbtxt").write_text(config + instances)
        (folder.parent / "labels.txt").write_text("cat\ndog\nowl\n")
