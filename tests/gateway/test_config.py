import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Config, load
from gateway.core.errors import ConfigError

ROOT = Path(__file__).parents[2]


def refusal(text: str, tmp_path: Path, overrides: tuple[str, ...] = ()) -> str:
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, overrides)
    return caught.value.message.replace(str(path), "gateway.yaml")


def test_the_shipped_file_is_the_defaults() -> None:
    assert load(ROOT / "configs/gateway.yaml") == load(None) == Config()


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing\n")
    assert load(path) == Config()


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("http:\n  port: 9000\n")
    config = load(path, ("http.port=9001", "upstream.http=a:1", "upstream.grpc=a:2", "repository.frameworks=[onnx]"))
    assert config.http.port == 9001
    assert config.upstream is not None
    assert config.upstream.grpc == "a:2"
    assert config.repository.frameworks == ("onnx",)


def test_a_tilde_is_the_user_s_home() -> None:
    config = load(None, ("repository.path=~/models", "triton.cache_dir=~/cache", "triton.log_file=~/triton.log"))
    assert config.repository.path == Path.home() / "models"
    assert config.triton.cache_dir == Path.home() / "cache"
    assert config.triton.log_file == Path.home() / "triton.log"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http:\n  prot: 1\n", "gateway.yaml:2: unknown key 'http.prot'; did you mean 'port'?"),
        ("htpp: {}\n", "gateway.yaml:1: unknown key 'htpp'; did you mean 'http'?"),
        (
            "upstream: {http: a:1, grpc: b:2, zzz: 3}\n",
            "gateway.yaml:1: unknown key 'upstream.zzz'; known here: http, grpc",
        ),
        ("grpc:\n\n  port: 99999\n", "gateway.yaml:3: grpc.port: input should be less than or equal to 65535"),
        (
            "upstream:\n  http: http://a\n  grpc: b:2\n",
            "gateway.yaml:2: upstream.http: http must be HOST:PORT, for example triton:8000, not 'http://a'",
        ),
        ("upstream: {http: a:1}\n", "gateway.yaml:1: upstream.grpc: field required"),
        ("http: [\n", "gateway.yaml:2: this is not YAML: expected the node content, but found '<stream end>'"),
        ("- http\n", "gateway.yaml:1: expected sections such as `http:`, found list"),
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


def properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, section in {"Config": schema, **schema["$defs"]}.items():
        for key, value in section.get("properties", {}).items():
            yield f"{name}.{key}", value


def test_every_key_is_documented() -> None:
    schema = Config.model_json_schema()

    def description(value: dict[str, Any]) -> str | None:
        # pydantic leaves a field's description out where its section's says the same
        section = schema["$defs"].get(value.get("$ref", "").rpartition("/")[2], {})
        text: str | None = value.get("description") or section.get("description")
        return text

    assert [key for key, value in properties(schema) if not description(value)] == []


def test_every_key_stands_in_the_shipped_file() -> None:
    text = (ROOT / "configs/gateway.yaml").read_text()
    missing = [key for key, _ in properties(Config.model_json_schema()) if f"{key.rpartition('.')[2]}:" not in text]
    assert missing == []


def test_the_shipped_schema_is_the_codes() -> None:
    shipped = json.loads((ROOT / "configs/gateway.schema.json").read_text())
    assert shipped == Config.model_json_schema(), (
        "write it anew: triton-gateway config schema > configs/gateway.schema.json"
    )
