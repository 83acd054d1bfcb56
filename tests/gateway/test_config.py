import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.config import Config, load

ROOT = Path(__file__).parents[2]


def test_the_shipped_file_is_the_defaults() -> None:
    assert load(ROOT / "configs/gateway.yaml") == load(None) == Config()


def test_a_tilde_is_the_user_s_home() -> None:
    paths = ("repository.path=~/models", "triton.cache_dir=~/cache", "triton.log_file=~/triton.log")
    config = load(None, (*paths, "recording.folder=~/recordings"))
    assert config.repository.path == Path.home() / "models"
    assert config.triton.cache_dir == Path.home() / "cache"
    assert config.triton.log_file == Path.home() / "triton.log"
    assert config.recording.folder == str(Path.home() / "recordings")


def test_an_upstream_without_a_name_is_called_by_its_address() -> None:
    named, unnamed = load(None, ("upstreams=[{name: a, http: b:1, grpc: b:2}, {http: c:1, grpc: c:2}]",)).upstreams
    assert (named.label, unnamed.label) == ("a", "c:1")


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
