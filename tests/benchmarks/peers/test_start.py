import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.models import Sample, differences
from benchmarks.payloads import reply
from benchmarks.peers.start import HERE, PEERS, Peer

SAMPLE = Sample("m", Path("m.onnx"), {"IN": np.ones((1, 2), np.int32)}, {"OUT": np.array([[0.5]], np.float32)})


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_exact_versions_and_no_hosts(peer: Peer) -> None:
    lines = (HERE / peer.name / "requirements.txt").read_text().splitlines()
    assert all("==" in line and "/" not in line for line in lines)
    assert "onnxruntime==1.31.1" in lines


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_its_json_answer_is_read(peer: Peer) -> None:
    body = b'{"outputs":[[[0.5]]]}' if peer.name == "bentoml" else reply("json", "m", SAMPLE.outputs).body
    assert differences(peer.read("json", body, SAMPLE), SAMPLE.outputs) == ""


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_its_json_request_holds_the_tensor(peer: Peer) -> None:
    asked = json.loads(peer.message("json", SAMPLE).body)
    assert asked == {"tensor": [[1, 1]]} if peer.name == "bentoml" else asked["inputs"][0]["data"] == [1, 1]


def test_what_a_peer_does_not_take_is_explained() -> None:
    assert all(peer.why_not or len(peer.kinds) == 3 for peer in PEERS)
