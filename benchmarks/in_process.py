"""ONNX Runtime alone, the yardstick of the peers: a loop around `session.run` in one process, for a while.

Usage: in_process.py MODEL_FILE INPUTS.npz SECONDS; waits for a line on standard input, prints latencies in us.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import onnxruntime


def main(path: str, inputs: str, seconds: float) -> list[int]:
    """Latencies in microseconds of one request after the other, with one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    with np.load(inputs) as arrays:
        feeds = dict(arrays)
    names = [output.name for output in session.get_outputs()]
    session.run(names, feeds)
    print("ready", flush=True)
    sys.stdin.readline()
    found = []
    end = (now := time.perf_counter()) + seconds
    while now < end:
        session.run(names, feeds)
        found.append(round((-now + (now := time.perf_counter())) * 1e6))
    return found


if __name__ == "__main__":
    print(*main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
