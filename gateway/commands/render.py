"""`triton-gateway render`: the split of traffic as resources of Kubernetes, for teams whose mesh is to do it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click
import yaml

from gateway.commands import options
from gateway.core.errors import ConfigError
from gateway.render.gateway_api import http_routes
from gateway.render.istio import virtual_service
from gateway.render.plan import Plan, plan
from gateway.render.service import Service


class _Plain(yaml.SafeDumper):
    """Writes what comes twice twice: people read it."""

    def ignore_aliases(self, _: object) -> bool:
        """All of them."""
        return True


@click.command()
@click.argument("kind", type=click.Choice(["istio", "gateway-api"]))
@click.option("--service", default="triton-gateway", show_default=True, help="Service in front of the gateway's pods.")
@click.option("--namespace", default="", help="Its namespace; default: the one that is applied to.")
@click.option("--port", default=8080, show_default=True, help="Its port for HTTP.", type=click.IntRange(1, 65535))
@click.option("--host", "hosts", multiple=True, help="A name by which clients call it; default: the Service's own.")
@click.option("--gateway", "parent", default="", help="The Gateway that requests come in by: NAME or NAMESPACE/NAME.")
@click.option(
    "--canary-percent", type=click.FloatRange(0, 100), help="What a canary's candidate gets; default: its first step."
)
@options.configured
def render(  # noqa: PLR0913, PLR0917 - a command line's options
    kind: Literal["istio", "gateway-api"],
    service: str,
    namespace: str,
    port: int,
    hosts: tuple[str, ...],
    parent: str,
    canary_percent: float | None,
    path: Path | None,
    overrides: tuple[str, ...],
) -> None:
    """Print the configured split as a VirtualService (istio) or HTTPRoutes (gateway-api).

    The mesh shares requests out and marks each with its target; the gateway goes by the mark. What it needs for that
    stands in the comment before the resources.
    """
    config = options.load_config(path, overrides, ())
    if not config.traffic.routes:
        raise ConfigError("traffic.routes: there are no routes to render; name at least one with two targets")
    shared = plan(config.traffic, canary_percent)
    if not shared.rules:
        raise ConfigError("traffic.routes: nothing for a mesh to do:\n" + "\n".join(shared.notes))
    where = Service(service, namespace, port, hosts or (service,), parent)
    resources = [virtual_service(shared, where)] if kind == "istio" else http_routes(shared, where)
    click.echo(_explained(shared), nl=False)
    click.echo(yaml.dump_all(resources, Dumper=_Plain, sort_keys=False, width=120), nl=False)


def _explained(shared: Plan) -> str:
    """The notes and the gateway's part as a comment of YAML."""
    traffic: dict[str, Any] = {"traffic": {"routes": [dict(route) for route in shared.routes]}}
    own = yaml.dump(traffic, Dumper=_Plain, sort_keys=False, width=110)
    lines = [
        "HTTP inferences are shared out here; the gateway goes by the mark that they get. gRPC names its model in the",
        "message, so it goes by the gateway's own weights. The gateway's configuration has this for it:",
        "",
        *own.splitlines(),
        "",
        *shared.notes,
    ]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)
