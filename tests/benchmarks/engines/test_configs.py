"""Every engine's configuration: it names its upstream, and the programs that are here accept it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks import tools
from benchmarks.client import ask
from benchmarks.engines import envoy, gateway, nginx, null
from benchmarks.load import Target
from benchmarks.payloads import GRPC_PATH, KINDS, Kind, identity_reply, identity_request
from benchmarks.proxies import HTTP_PATH

UPSTREAM = ("127.0.0.1:1001", "127.0.0.1:1002")


def nginx_or_skip() -> Path:
    try:
        return tools.nginx()
    except tools.ToolError as error:
        pytest.skip(str(error))


def test_envoy_sends_each_protocol_to_its_own_port() -> None:
    found = envoy.config(UPSTREAM, 8000, 8001)["static_resources"]
    listeners = [listener["address"]["socket_address"]["port_value"] for listener in found["listeners"]]
    clusters = {
        cluster["name"]: cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
        for cluster in found["clusters"]
    }
    assert listeners == [8000, 8001]
    assert clusters["http"]["socket_address"]["port_value"] == 1001
    assert clusters["grpc"]["socket_address"]["port_value"] == 1002
    assert "typed_extension_protocol_options" in found["clusters"][1]


def test_nginx_accepts_its_configuration(tmp_path: Path) -> None:
    binary = nginx_or_skip()
    path = tmp_path / "nginx.conf"
    path.write_text(nginx.config(tmp_path, UPSTREAM, 8000, 8001))
    done = subprocess.run(
        [str(binary), "-t", "-c", str(path), "-e", str(tmp_path / "error.log")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [4_000, 600_000])
def test_the_null_upstream_answers_what_it_was_given(tmp_path: Path, kind: Kind, size: int) -> None:
    upstream = null.NullUpstream(nginx_or_skip(), tmp_path, [])
    with upstream.service as service:
        upstream.answer_with(identity_reply(kind, size))
        address, path = (service.grpc, GRPC_PATH) if kind == "grpc" else (service.http, HTTP_PATH)
        assert ask(Target(address, path), identity_request(kind, size)) == identity_reply(kind, size).body


def test_the_gateway_is_told_only_what_it_knows() -> None:
    limits: dict[str, Any] = {"LimitsSection": {"properties": {}}}
    old = {"properties": {"upstream": {}}, "$defs": limits}
    new = {
        "properties": {"upstreams": {}, "workers": {}},
        "$defs": {"LimitsSection": {"properties": {"max_buffered_bytes": {}}}},
    }
    address = "{http: '127.0.0.1:1001', grpc: '127.0.0.1:1002'}"
    assert f"upstream={address}" in gateway.overrides(old, UPSTREAM, (1, 2, 3), 1)
    told = gateway.overrides(new, UPSTREAM, (1, 2, 3), 2)
    assert f"upstreams=[{address}]" in told
    assert "workers=2" in told
    assert any(option.startswith("limits.max_buffered_bytes=") for option in told)
