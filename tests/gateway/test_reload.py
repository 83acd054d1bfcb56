import asyncio
import os
from pathlib import Path

import pytest

from gateway.config import load
from gateway.core.errors import ConfigError
from gateway.reload import ConfigFile, change

A, B = "{http: a:1, grpc: a:2}", "{http: b:1, grpc: b:2}"


@pytest.mark.parametrize(
    "override",
    [
        "limits.deadline_seconds=1",
        "balance.check_seconds=9",
        "admin.repository=true",
        "recording.folder=recordings",
        "recording.every=2",
        "http.max_body_bytes=1",
        "http.access_log=all",
        "grpc.max_message_bytes=1",
        "traffic.aliases={a: b}",
        "traffic.only_public=true",
        "traffic.routes=[{model: m}]",
        "traffic.tenant_header=x-tenant",
        "traffic.trusted_proxies=[10.0.0.0/8]",
    ],
)
def test_what_requests_are_served_with_changes_at_once(override: str) -> None:
    wanted = load(None, (override,))
    found = change(load(None), wanted)
    assert found.applied == (override.partition("=")[0],)
    assert found.waiting == ()
    assert found.config == wanted


@pytest.mark.parametrize(
    "override",
    [
        "http.port=1",
        "grpc.host=::1",
        "control.port=1",
        "workers=2",
        "triton.http_port=1",
        "repository.path=elsewhere",
        "traffic.state_file=elsewhere",
        "traffic.reports=elsewhere",
    ],
)
def test_what_decides_what_is_started_waits_for_the_next_start(override: str) -> None:
    found = change(load(None), load(None, (override,)))
    assert found.applied == ()
    assert found.waiting == (override.partition("=")[0],)
    assert found.config == load(None)


def test_of_a_section_with_both_kinds_only_one_kind_changes() -> None:
    found = change(load(None), load(None, ("http={port: 1, access_log: all}",)))
    assert (found.applied, found.waiting) == (("http.access_log",), ("http.port",))
    assert (found.config.http.port, found.config.http.access_log) == (8080, "all")


def test_external_tritons_come_and_go_at_once() -> None:
    found = change(load(None, (f"upstreams=[{A}]",)), load(None, (f"upstreams=[{A}, {B}]",)))
    assert found.applied == ("upstreams",)
    assert [upstream.label for upstream in found.config.upstreams] == ["a:1", "b:1"]


@pytest.mark.parametrize(("before", "after"), [("[]", f"[{A}]"), (f"[{A}]", "[]")])
def test_embedded_or_external_is_decided_at_the_start(before: str, after: str) -> None:
    found = change(load(None, (f"upstreams={before}",)), load(None, (f"upstreams={after}",)))
    assert (found.applied, found.waiting) == ((), ("upstreams",))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text("workers: 1\n")
    return path


def write(path: Path, text: str) -> None:
    path.write_text(text)


def replace(path: Path, text: str) -> None:
    """Put another file of the same size and time in the place of `path`."""
    other = path.with_name("new.yaml")
    other.write_text(text)
    os.utime(other, ns=(path.stat().st_mtime_ns,) * 2)
    other.replace(path)


def remove(path: Path) -> None:
    path.unlink()


async def noticed(file: ConfigFile) -> None:
    async with asyncio.timeout(10):
        await file.changed()


async def test_a_file_that_is_written_again_is_noticed_once(path: Path) -> None:
    file = ConfigFile(path, lambda: load(path))
    write(path, "workers: 22\n")
    await noticed(file)
    assert file.read().workers == 22
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.2):  # two looks
            await file.changed()


async def test_a_file_that_replaces_another_is_noticed_though_it_looks_alike(path: Path) -> None:
    file = ConfigFile(path, lambda: load(path))
    replace(path, "workers: 2\n")
    await noticed(file)
    assert file.read().workers == 2


async def test_a_file_that_is_gone_is_a_change_that_cannot_be_read(path: Path) -> None:
    file = ConfigFile(path, lambda: load(path))
    remove(path)
    await noticed(file)
    with pytest.raises(ConfigError, match="there is no such file"):
        file.read()


async def test_whoever_asks_need_not_wait_for_a_change(path: Path) -> None:
    file = ConfigFile(path, lambda: load(path))
    file.look_again()
    await noticed(file)


async def test_without_a_file_nothing_changes() -> None:
    file = ConfigFile(None, lambda: load(None))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.2):
            await file.changed()
    file.look_again()
    await noticed(file)
