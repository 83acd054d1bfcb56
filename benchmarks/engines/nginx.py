"""nginx as a plain proxy: one worker, kept-alive connections upstream, bodies passed on as they come."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.service import Service, free_ports, listens


def config(folder: Path, upstream: tuple[str, str], http: int, grpc: int) -> str:
    """The configuration.

    Args:
        folder: for its files.
        upstream: HTTP and gRPC address.
        http: the port for HTTP.
        grpc: the port for gRPC.
    """
    temporary = "\n".join(
        f"  {kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""{workers_user()}daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; }}
http {{
  access_log off; client_max_body_size 0; http2_max_concurrent_streams 1024;
  keepalive_requests 1000000000; keepalive_timeout 1h;
{temporary}
  upstream http_upstream {{ server {upstream[0]}; keepalive 512; keepalive_requests 1000000000; }}
  upstream grpc_upstream {{ server {upstream[1]}; keepalive 512; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{http} backlog=4096;
    location / {{
      proxy_pass http://http_upstream; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_request_buffering off; proxy_max_temp_file_size 0; proxy_read_timeout 120s;
    }}
  }}
  server {{
    listen 127.0.0.1:{grpc} http2 backlog=4096;
    location / {{ grpc_pass grpc://grpc_upstream; grpc_read_timeout 120s; }}
  }}
}}
"""


def workers_user() -> str:
    """Root's nginx runs its workers as another user, who may not read a private folder; everybody else's as oneself."""
    return "user root root; " if os.geteuid() == 0 else ""


def start(nginx: Path, upstream: tuple[str, str], folder: Path, on: Sequence[str]) -> Service:
    """Start it in front of `upstream`; see `config`."""
    folder.mkdir(parents=True, exist_ok=True)
    http, grpc = free_ports(2)
    path = folder / "nginx.conf"
    path.write_text(config(folder, upstream, http, grpc))
    command = [*on, str(nginx), "-c", str(path), "-e", str(folder / "error.log")]
    service = Service("nginx", command, folder, http=f"127.0.0.1:{http}", grpc=f"127.0.0.1:{grpc}")
    return service.wait(lambda: listens(service.http) and listens(service.grpc), 10)
