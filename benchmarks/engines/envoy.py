"""Envoy as a plain proxy: one worker thread, no access log, no limits in the way, HTTP/1.1 and gRPC."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.service import Service, free_ports, listens

_TYPES = "type.googleapis.com/envoy.extensions"


def config(upstream: tuple[str, str], http: int, grpc: int) -> dict[str, Any]:
    """The bootstrap configuration, as JSON.

    Args:
        upstream: HTTP and gRPC address.
        http: the port for HTTP.
        grpc: the port for gRPC.
    """
    return {
        "static_resources": {
            "listeners": [_listener("http", http, "HTTP1"), _listener("grpc", grpc, "HTTP2")],
            "clusters": [_cluster("http", upstream[0], {}), _cluster("grpc", upstream[1], _HTTP2)],
        }
    }


_HTTP2 = {
    "typed_extension_protocol_options": {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": f"{_TYPES}.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }
}


def _address(port: int, host: str = "127.0.0.1") -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _listener(name: str, port: int, codec: str) -> dict[str, Any]:
    route = {"match": {"prefix": "/"}, "route": {"cluster": name, "timeout": "120s"}}
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "codec_type": codec,
        "generate_request_id": False,
        "route_config": {"virtual_hosts": [{"name": name, "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"}},
        ],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {"name": name, "address": _address(port), "filter_chains": [{"filters": filters}]}


def _cluster(name: str, upstream: str, protocol: dict[str, Any]) -> dict[str, Any]:
    host, _, port = upstream.rpartition(":")
    most = 1_000_000
    limits = {"max_connections": most, "max_pending_requests": most, "max_requests": most}
    endpoint = {"endpoint": {"address": _address(int(port), host)}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        **protocol,
    }


def start(envoy: Path, upstream: tuple[str, str], folder: Path, on: Sequence[str]) -> Service:
    """Start it in front of `upstream`; see `config`."""
    folder.mkdir(parents=True, exist_ok=True)
    http, grpc = free_ports(2)
    path = folder / "envoy.json"
    path.write_text(json.dumps(config(upstream, http, grpc), indent=1))
    command = [*on, str(envoy), "-c", str(path), "--concurrency", "1", "--log-level", "error"]
    command += ["--disable-hot-restart"]
    service = Service("envoy", command, folder, http=f"127.0.0.1:{http}", grpc=f"127.0.0.1:{grpc}")
    return service.wait(lambda: listens(service.http) and listens(service.grpc), 20)
