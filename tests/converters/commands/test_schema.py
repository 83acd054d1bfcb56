import json
from pathlib import Path

from converters.build.config import EnginesConfig
from tests.converters.commands.running import run

SHIPPED = Path(__file__).parents[3] / "configs/engines.schema.json"


def test_the_schema_is_printed() -> None:
    assert json.loads(run("schema").output) == EnginesConfig.model_json_schema()


def test_the_shipped_schema_is_the_codes() -> None:
    assert json.loads(SHIPPED.read_text("utf-8")) == EnginesConfig.model_json_schema(), (
        "write it anew: triton-convert schema > configs/engines.schema.json"
    )
