import json
from dataclasses import replace

from gateway.beside import Beside
from gateway.config import Config
from gateway.traffic.snapshot import Override, Snapshot


def test_it_travels_as_json() -> None:
    beside = replace(Beside.first(Config()), decided=Snapshot(1, {"r": Override("x", {"a": 100.0})}))
    assert Beside.of(json.loads(json.dumps(beside.as_dict()))) == beside
