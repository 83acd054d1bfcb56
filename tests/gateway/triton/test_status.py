import json

from gateway.triton.status import ModelState, ModelStatus, State, TritonStatus


def test_a_status_goes_into_json_as_it_is() -> None:
    models = {"add": ModelStatus(ModelState.READY, seconds=1.5), "bad": ModelStatus(ModelState.FAILED, "it is broken")}
    status = TritonStatus(State.READY, 12, 1, 2, "/var/log/triton.log", models)
    assert json.loads(json.dumps(status.as_dict())) == {
        "state": "ready",
        "pid": 12,
        "restarts": 1,
        "heals": 2,
        "log_file": "/var/log/triton.log",
        "models": {
            "add": {"state": "ready", "reason": "", "seconds": 1.5},
            "bad": {"state": "failed", "reason": "it is broken", "seconds": None},
        },
    }
