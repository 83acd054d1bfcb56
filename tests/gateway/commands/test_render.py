from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from gateway.cli import main

CONFIG = """
upstreams: [{http: "t:8000", grpc: "t:8001"}]
traffic:
  routes:
    - model: m
      targets: [{model: m, version: 1, weight: 90}, {model: m, version: 2, weight: 10}]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG)
    return path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["render", *arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize(("kind", "found"), [("istio", "VirtualService"), ("gateway-api", "HTTPRoute")])
def test_what_is_printed_is_yaml_with_the_gateway_s_part_as_a_comment(kind: str, found: str, config: Path) -> None:
    code, text = run(kind, "--config", str(config), "--namespace", "ml")
    assert code == 0
    [resource] = yaml.safe_load_all(text)
    assert (resource["kind"], resource["metadata"]["namespace"]) == (found, "ml")
    comment = [line.removeprefix("#").removeprefix(" ") for line in text.splitlines() if line.startswith("#")]
    start = comment.index("traffic:")
    own = yaml.safe_load("\n".join(comment[start : comment.index("", start)]))
    assert [route["name"] for route in own["traffic"]["routes"][:2]] == ["m.m-1", "m.m-2"]


def test_nothing_to_render_is_said(config: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("{}")
    code, text = run("istio", "--config", str(tmp_path / "empty.yaml"))
    assert (code, "there are no routes to render" in text) == (1, True)
    config.write_text(CONFIG.replace("version: 1, weight: 90}, {model: m, version: 2, weight: 10", "version: 1"))
    code, text = run("istio", "--config", str(config))
    assert (code, "it has one target and nothing to share out" in text) == (1, True)
