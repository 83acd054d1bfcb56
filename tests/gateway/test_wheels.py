"""Fetches small wheels with the real pip from a folder."""

import errno
import importlib.metadata
import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from gateway import wheels
from gateway.core.errors import SetupError
from gateway.wheels import Wheel, download, sha256_of

from .triton.wheelhouse import put_wheel, use_only


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    sha256 = put_wheel(tmp_path / "index", "sample-model", "1.0", {"sample/model.onnx": "weights"})
    use_only(monkeypatch, tmp_path / "index")
    return Wheel("sample-model", "1.0", sha256)


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(said: io.StringIO) -> Console:
    return Console(file=said, width=200)


def test_a_wheel_is_fetched_once_and_then_found(
    sample: Wheel, tmp_path: Path, console: Console, said: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "made" / "cache"
    fetched = download(sample, folder, console)
    assert fetched == folder / "sample_model-1.0-py3-none-any.whl"
    assert [path.name for path in folder.iterdir()] == [fetched.name]
    assert said.getvalue().startswith("Fetching sample-model 1.0\n")
    use_only(monkeypatch, tmp_path / "empty")
    assert download(sample, folder, console) == fetched


def test_a_wheel_with_another_sha256_is_thrown_away(sample: Wheel, tmp_path: Path, console: Console) -> None:
    with pytest.raises(SetupError, match=r"sample-model 1.0: .* has sha256 [0-9a-f]{64} instead of 0{64}") as raised:
        download(Wheel(sample.name, sample.version, "0" * 64), tmp_path / "cache", console)
    assert list((tmp_path / "cache").iterdir()) == []
    assert "\n" not in raised.value.message


def test_of_several_wheels_of_one_release_the_one_that_is_meant_is_taken(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    shas = [
        put_wheel(tmp_path / folder, "sample-model", "1.0", {"sample/model.onnx": folder})
        for folder in ("one", "other")
    ]
    page = tmp_path / "simple" / "sample-model" / "index.html"
    page.parent.mkdir(parents=True)
    file = "sample_model-1.0-py3-none-any.whl"
    links = [
        f'<a href="{tmp_path.as_uri()}/{folder}/{file}#sha256={sha}">{file}</a>'
        for folder, sha in zip(("one", "other"), shas, strict=True)
    ]
    page.write_text(f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>")
    use_only(monkeypatch, tmp_path / "empty")
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_INDEX_URL", f"{tmp_path.as_uri()}/simple")
    for number, sha256 in enumerate(shas):
        fetched = download(Wheel("sample-model", "1.0", sha256), tmp_path / f"cache-{number}", console)
        assert sha256_of(fetched) == sha256


@pytest.mark.usefixtures("sample")
def test_a_package_that_the_index_lacks_is_said(tmp_path: Path, console: Console) -> None:
    with pytest.raises(SetupError, match=r"other 1.0: the package index has no such package .*, or cannot be reached"):
        download(Wheel("other", "1.0", "0" * 64), tmp_path / "cache", console)


@pytest.mark.usefixtures("sample")
def test_a_version_that_the_index_lacks_is_named(tmp_path: Path, console: Console) -> None:
    with pytest.raises(SetupError, match=r"sample-model 9.9: the package index has no wheel of this version"):
        download(Wheel("sample-model", "9.9", "0" * 64), tmp_path / "cache", console)


def test_an_index_that_cannot_be_reached_is_said(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: nobody answers
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SetupError, match=r"sample-model 1.0: the package index cannot be reached; check the network"):
        download(Wheel("sample-model", "1.0", "0" * 64), tmp_path / "cache", console)


def test_without_pip_it_is_said_how_to_get_it(
    sample: Wheel, tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: str) -> str:
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(SetupError, match=r"pip is not installed in .*: run `.* -m ensurepip`"):
        download(sample, tmp_path / "cache", console)


def test_a_full_disk_is_said(sample: Wheel, tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(SetupError, match=r"cannot be stored in .*No space left on device; free some space"):
        download(sample, tmp_path / "cache", console)


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "the disk is full"),
        (
            "WARNING: Retrying ... Temporary failure in name resolution\nERROR: No matching distribution",
            "cannot be reached",
        ),
        ("/usr/bin/python: No module named pip", "pip is not installed"),
        ("ERROR: HTTP error 403 while getting x", "pip could not fetch it: HTTP error 403 while getting x"),
        ("", "it said nothing"),
    ],
)
def test_what_pip_says_becomes_one_line(output: str, says: str) -> None:
    message = wheels._explain(Wheel("sample-model", "1.0", ""), output, 1.0)
    assert message.startswith("sample-model 1.0: ")
    assert says in message
    assert "\n" not in message


def test_a_terminal_gets_a_bar_and_the_sum_at_the_end(
    sample: Wheel, tmp_path: Path, said: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    console = Console(file=said, width=100, force_terminal=True, color_system=None)
    with wheels._shown(str(sample), console) as show:
        show(1_000_000, 2_000_000)
    assert "Fetched sample-model 1.0: 2 MiB" in said.getvalue()
