import json

from gateway.repository.site import ModelState, SiteModel
from gateway.triton.status import State, TritonStatus


def test_a_status_goes_into_json_as_it_is() -> None:
    models = {
        "add": SiteModel(ModelState.READY, seconds=1.5, fingerprint="f", versions=(1,)),
        "bad": SiteModel(ModelState.FAILED, "it is broken", tries=2, next_try=12.5),
    }
    status = TritonStatus(State.READY, 12, 1, 2, "/var/log/triton.log", models)
    assert json.loads(json.dumps(status.as_dict())) == {
        "state": "ready",
        "pid": 12,
        "restarts": 1,
        "heals": 2,
        "log_file": "/var/log/triton.log",
        "models": {
            "add": {
                "state": "ready",
                "reason": "",
                "seconds": 1.5,
                "fingerprint": "f",
                "versions": [1],
                "tries": 0,
                "next_try": None,
            },
            "bad": {
                "state": "failed",
                "reason": "it is broken",
                "seconds": None,
                "fingerprint": None,
                "versions": [],
                "tries": 2,
                "next_try": 12.5,
            },
        },
    }
