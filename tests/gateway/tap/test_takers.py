from pathlib import Path

import msgspec

from gateway.config import Config
from gateway.tap.exchange import Answer, Exchange
from gateway.tap.sections import RecordingSection, RedactSection
from gateway.tap.takers import Takers

TENSOR = b'{"name":"x","datatype":"FP32","shape":[1],"data":[%b]}'
REQUEST = b'{"inputs":[' + TENSOR % b"1" + b"]}"


def answer(target: str, value: bytes) -> Answer:
    body = b'{"model_name":"m","outputs":[' + TENSOR % value + b"]}"
    return Answer(target, "m", "1", 200, body, None, "", "", 0.01)


RECORDED = Exchange("record", "", "", "", "http", "m", "", "id", "", 1, REQUEST, None, (answer("m", b"1"),))
COMPARED = Exchange(
    "compare", "r", "n", "", "http", "m", "", "id", "", 1, REQUEST, None, (answer("m", b"1"), answer("n", b"2"))
)


def config(recording: Path | None) -> Config:
    route = {"model": "r", "targets": [{"model": "m"}], "mirrors": [{"model": "n", "compare": {}}]}
    folder = {"folder": str(recording)} if recording else {}
    return Config.model_validate({"recording": folder, "traffic": {"routes": [route]}})


async def test_each_exchange_goes_where_it_belongs(tmp_path: Path) -> None:
    takers = Takers(config(tmp_path / "log"), tmp_path / "reports")
    await takers.take(RECORDED)
    await takers.take(COMPARED)
    status = takers.status()
    assert status["comparisons"]["r"]["n"]["differed"] == 1
    assert status["life"]
    await takers.aclose()
    assert len(list((tmp_path / "log/m").glob("*.jsonl"))) == 1
    assert (tmp_path / "reports/r/n/report.json").is_file()


async def test_what_is_kept_of_comparisons_is_redacted_like_recordings(tmp_path: Path) -> None:
    def given(**redact: bool) -> Config:
        return config(None).model_copy(update={"recording": RecordingSection(redact=RedactSection(**redact))})

    takers = Takers(given(), tmp_path)
    await takers.take(COMPARED)
    await takers.reconfigure(given(request_id=False))
    await takers.take(msgspec.structs.replace(COMPARED, arrived=2))
    await takers.aclose()
    kept = sorted((tmp_path / "r/n/differing/m").glob("*.jsonl"))
    assert sorted(msgspec.json.decode(path.read_bytes())["request_id"] for path in kept) == ["", "id"]


async def test_another_configuration_writes_what_there_is_and_goes_on_with_it(tmp_path: Path) -> None:
    takers = Takers(config(tmp_path / "first"), tmp_path / "reports")
    await takers.take(RECORDED)
    await takers.reconfigure(config(tmp_path / "second"))
    assert len(list((tmp_path / "first/m").glob("*.jsonl"))) == 1
    await takers.take(msgspec.structs.replace(RECORDED, arrived=2))
    await takers.reconfigure(config(None))
    assert len(list((tmp_path / "second/m").glob("*.jsonl"))) == 1
    await takers.take(RECORDED)  # on its way while recording ended
    assert takers.status()["recording"] is None
    await takers.aclose()
