import asyncio
import shutil
from pathlib import Path

import pytest

from gateway.config import RepositorySection, UpstreamSection
from gateway.core.errors import SetupError
from gateway.repository.hardware import Hardware
from gateway.repository.progress import News
from gateway.stock import Stock
from gateway.upstreams.fake_triton import FakeTriton


def stock_of(path: Path) -> Stock:
    return Stock(RepositorySection(path=path, settle_seconds=0.2), lambda: None, lambda _: None, lambda _: None)


def upstream(triton: FakeTriton, name: str = "one", **labels: str) -> UpstreamSection:
    return UpstreamSection(name=name, http=triton.http, grpc=triton.grpc, labels=labels)


def model(repository: Path, name: str) -> Path:
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "1" / "model.py").write_text("")
    (repository / name / "config.pbtxt").write_text('backend: "python"')
    return repository / name


async def test_it_tells_what_may_be_served_and_why_not_the_rest(tmp_path: Path) -> None:
    model(tmp_path, "good")
    model(tmp_path, "not good")
    async with stock_of(tmp_path) as stock:
        assert list(stock.served) == ["good"]
        assert list(stock.problems) == ["not good"]
        told = stock.status()
    assert told["path"] == str(tmp_path)
    assert told["models"]["not good"]["state"] == "refused"
    assert told["error"] is None


async def test_an_engine_waits_where_there_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model(tmp_path, "good")
    folder = model(tmp_path, "engine")
    (folder / "1" / "model.plan").write_bytes(b"ftrt")
    (folder / "config.pbtxt").write_text('backend: "tensorrt"')
    for gpus, served in ((0, ["good"]), (1, ["engine", "good"])):
        found = Hardware(2, gpus)
        monkeypatch.setattr(Hardware, "here", lambda found=found: found)
        async with stock_of(tmp_path) as stock:
            assert sorted(stock.served) == served


async def test_a_repository_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        async with stock_of(tmp_path / "none"):
            pass


async def test_external_tritons_are_filled_as_they_come_and_go(tmp_path: Path) -> None:
    folder = model(tmp_path, "echo")
    news: list[News] = []
    section = RepositorySection(path=tmp_path, settle_seconds=0.2)
    async with (
        FakeTriton() as one,
        FakeTriton() as two,
        Stock(section, lambda: None, news.append, lambda _: None) as stock,
    ):
        keeper = asyncio.create_task(stock.run())
        try:
            await stock.use_upstreams([upstream(one)])
            async with asyncio.timeout(20):
                while stock.status()["models"]["echo"]["sites"].keys() != {"one"}:
                    await asyncio.sleep(0.02)
                await stock.use_upstreams([upstream(one), upstream(two, "two", gpu="big")])
                while stock.status()["models"]["echo"]["sites"].keys() != {"one", "two"}:
                    await asyncio.sleep(0.02)
                await stock.use_upstreams([upstream(two, "two", gpu="big")])
                assert stock.status()["models"]["echo"]["sites"].keys() <= {"two"}
                shutil.rmtree(folder)
                while stock.status()["models"]:
                    await asyncio.sleep(0.02)
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
    assert stock.status()["models"] == {}
