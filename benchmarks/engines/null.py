"""An upstream that costs next to nothing: nginx reads each request whole and answers with the same bytes.

Triton with a Python model takes many times what a proxy takes, and its noise would hide the proxy's cost. This one
answers tens of thousands of requests a second on one core, over HTTP/1.1 and gRPC, with replies of any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.engines.nginx import workers_user
from benchmarks.payloads import NULL_HEAD_BYTES, Message
from benchmarks.service import Service, free_ports, listens

_INDEX = '[{"name":"identity","version":"1","state":"READY"}]'
_METADATA = '{"name":"identity","versions":["1"],"platform":"python","inputs":[],"outputs":[]}'
_TRUE = b"\0\0\0\0\2\x08\x01"  # a gRPC message whose field 1 is true, or SERVING


def config(folder: Path, http: int, grpc: int) -> str:
    """The configuration of nginx.

    A static file refuses POST with 405, which `error_page` turns into that file with status 200; `mirror` makes nginx
    read the request's body first, into memory, as a real server would.
    """
    temporary = "\n".join(
        f"  {kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    calls = "".join(
        f"    location = {path} {{ try_files /true =404; error_page 405 =200 /true; }}\n"
        for path in (
            "/grpc.health.v1.Health/Check",
            "/inference.GRPCInferenceService/ServerLive",
            "/inference.GRPCInferenceService/ServerReady",
            "/inference.GRPCInferenceService/ModelReady",
        )
    )
    return f"""{workers_user()}daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 8192; }}
http {{
  access_log off; sendfile on; root {folder}/replies;
  keepalive_requests 1000000000; keepalive_timeout 1h;
  client_max_body_size 0; client_body_buffer_size 32m; http2_max_concurrent_streams 1024;
{temporary}
  map $http_inference_header_content_length $reply {{ default /json; "~." /binary; }}
  server {{
    listen 127.0.0.1:{http} backlog=4096;
    location = /json {{ internal; default_type application/json; }}
    location = /binary {{
      internal; default_type application/octet-stream; add_header Inference-Header-Content-Length {NULL_HEAD_BYTES};
    }}
    location = /drop {{ internal; return 204; }}
    location = /v2/repository/index {{ default_type application/json; return 200 '{_INDEX}'; }}
    location = /v2/models/identity {{ default_type application/json; return 200 '{_METADATA}'; }}
    location ~ ^(/v2|/v2/health/.*|/v2/models/identity/ready)$ {{ default_type application/json; return 200 '{{}}'; }}
    location / {{ mirror /drop; try_files $reply =404; error_page 405 =200 $reply; }}
  }}
  server {{
    listen 127.0.0.1:{grpc} http2 backlog=4096;
    default_type application/grpc; add_trailer grpc-status 0;
{calls}
    location = /drop {{ internal; return 204; }}
    location / {{ mirror /drop; try_files /grpc =404; error_page 405 =200 /grpc; }}
  }}
}}
"""


class NullUpstream:
    """A running one.

    Args:
        nginx: the binary.
        folder: for its files; every temporary body goes there too.
        on: a command prefix that places it on its cores.
    """

    def __init__(self, nginx: Path, folder: Path, on: Sequence[str]) -> None:
        self._replies = folder / "replies"
        self._replies.mkdir(parents=True, exist_ok=True)
        (self._replies / "true").write_bytes(_TRUE)
        http, grpc = free_ports(2)
        path = folder / "nginx.conf"
        path.write_text(config(folder, http, grpc))
        command = [*on, str(nginx), "-c", str(path), "-e", str(folder / "error.log")]
        addresses = (f"127.0.0.1:{http}", f"127.0.0.1:{grpc}")
        self.service = Service("null", command, folder, http=addresses[0], grpc=addresses[1])
        self.service.wait(lambda: all(map(listens, addresses)), 10)

    def answer_with(self, message: Message) -> None:
        """From now on, answer requests of this message's kind with it."""
        scratch = self._replies / f".{message.kind}"
        scratch.write_bytes(message.wire)
        scratch.replace(self._replies / message.kind)
