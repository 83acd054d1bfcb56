"""Routes to render."""

from gateway.traffic.sections import TrafficSection

TARGETS = [
    {"name": "a", "model": "m", "version": 1, "weight": 99.9},
    {"name": "b", "model": "m", "version": 2, "upstreams": "gpu", "weight": 0.1},
]
BETA = {
    "name": "beta",
    "model": "m",
    "when": {"headers": {"X-Beta": "y*"}, "tenants": ["team-?"], "path_prefix": "/p"},
    "targets": TARGETS,
    "policies": {
        "timeout_seconds": 2.5,
        "request_headers": {"set": {"x-a": "b"}, "remove": ["traceparent"]},
        "reply_headers": {"set": {"x-c": "d"}},
        "max_body_bytes": 100,
    },
}
CANARY = {
    "model": "m",
    "targets": [{"model": "m", "version": 1}, {"name": "next", "model": "m", "version": 2}],
    "canary": {"candidate": "next"},
    "mirrors": [{"model": "m", "version": 3}],
}


def section(*routes: object) -> TrafficSection:
    return TrafficSection.model_validate({"tenant_header": "x-tenant", "routes": routes})
