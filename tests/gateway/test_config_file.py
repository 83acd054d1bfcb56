from pathlib import Path

import pytest

from gateway.config import Config, load
from gateway.core.errors import ConfigError


def refusal(text: str, tmp_path: Path, overrides: tuple[str, ...] = ()) -> str:
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, overrides)
    return caught.value.message.replace(str(path), "gateway.yaml")


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing\n")
    assert load(path) == Config()


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("http:\n  port: 9000\n")
    config = load(path, ("http.port=9001", "upstreams=[{http: a:1, grpc: a:2}]", "repository.frameworks=[onnx]"))
    assert config.http.port == 9001
    assert [upstream.grpc for upstream in config.upstreams] == ["a:2"]
    assert config.repository.frameworks == ("onnx",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http:\n  prot: 1\n", "gateway.yaml:2: unknown key 'http.prot'; did you mean 'port'?"),
        (
            "workers: 2\nhttp: {}\nworkers: 3\n",
            "gateway.yaml:3: 'workers' stands in line 1 already; keep one",
        ),
        (
            "upstreams:\n- {http: a:1, grpc: b:2,\n   http: c:1}\n",
            "gateway.yaml:3: 'http' stands in line 2 already; keep one",
        ),
        ("htpp: {}\n", "gateway.yaml:1: unknown key 'htpp'; did you mean 'http'?"),
        (
            "upstreams:\n- {http: a:1, grpc: b:2}\n- {http: a:1, grpc: b:2, zzz: 3}\n",
            "gateway.yaml:3: unknown key 'upstreams.1.zzz'; known here: name, http, grpc",
        ),
        ("upstream: {http: a:1, grpc: b:2}\n", "gateway.yaml:1: unknown key 'upstream'; did you mean 'upstreams'?"),
        (
            "upstreams: [{http: a:1, grpc: b:2}, {http: a:1, grpc: b:3}]\n",
            "gateway.yaml:1: upstreams: two upstreams are called 'a:1'; give each a name of its own",
        ),
        ("workers: 0\n", "gateway.yaml:1: workers: input should be greater than or equal to 1"),
        ("balance:\n  panic_percent: 101\n", "gateway.yaml:2: balance.panic_percent: input should be less than or"),
        ("limits:\n  drain_delay_seconds: -1\n", "gateway.yaml:2: limits.drain_delay_seconds: input should be greater"),
        ("admin: {loging: true}\n", "gateway.yaml:1: unknown key 'admin.loging'; did you mean 'logging'?"),
        ("grpc:\n\n  port: 99999\n", "gateway.yaml:3: grpc.port: input should be less than or equal to 65535"),
        (
            "upstreams:\n- http: http://a\n  grpc: b:2\n",
            "gateway.yaml:2: upstreams.0.http: http must be HOST:PORT, for example triton:8000, not 'http://a'",
        ),
        ("upstreams: [{http: a:1}]\n", "gateway.yaml:1: upstreams.0.grpc: field required"),
        ("http: [\n", "gateway.yaml:2: this is not YAML: expected the node content, but found '<stream end>'"),
        ("- http\n", "gateway.yaml:1: expected keys such as `http:`, found list"),
        ("triton:\n  host: 0.0.0.0\n", "gateway.yaml:2: triton.host: the embedded Triton has no access control"),
        ("repository:\n  frameworks:\n  - caffe\n", "gateway.yaml:3: repository.frameworks.0: input should be"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    assert refusal(text, tmp_path).startswith(message)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    assert len(refusal("http: {prot: 1}\ngrpc: {port: x}\n", tmp_path).splitlines()) == 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("http.port", "--set http.port: expected KEY=VALUE"),
        ("http.port.x=1", "--set http.port.x=1: port is not a section"),
        ("http.port=[", "--set http.port=[: '[' is not a YAML value"),
        ("http.pxrt=1", "gateway.yaml:1: unknown key 'http.pxrt'; did you mean 'port'?"),
    ],
)
def test_a_wrong_override_is_named(override: str, message: str, tmp_path: Path) -> None:
    assert refusal("http: {port: 1}", tmp_path, (override,)).startswith(message)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere.yaml: there is no such file; name another with --config"):
        load(tmp_path / "nowhere.yaml")
