"""Unpacks a small wheel that looks like the real one."""

import io
import os
import shutil
import threading
from pathlib import Path

import pytest
from rich.console import Console

from gateway.core.errors import SetupError
from gateway.triton import fetch
from gateway.triton.fetch import TritonInstall, default_cache_dir, ensure_triton
from gateway.wheels import Wheel

from .wheelhouse import put_wheel, use_only

SERVER = "pytriton/tritonserver/bin/tritonserver"
FILES = {
    SERVER: "#!/bin/sh\n",
    "pytriton/tritonserver/backends/python/libtriton_python.so": "",
    "pytriton/tritonserver/backends/python/triton_python_backend_utils.py": "",
    "pytriton/tritonserver/backends/python/__pycache__/triton_python_backend_utils.cpython-311.pyc": "",
    "pytriton/tritonserver/python_backend_stubs/3.10/triton_python_backend_stub": "",
    "pytriton/tritonserver/python_backend_stubs/3.11/triton_python_backend_stub": "",
    "pytriton/tritonserver/python_backend_stubs/3.12/triton_python_backend_stub": "",
    "pytriton/client/client.py": "",
    "nvidia_pytriton.libs/libtritonserver-1.so": "",
    "nvidia_pytriton.libs/libpython3-1.13.so.1.0": "",
    "nvidia_pytriton-0.7.0.dist-info/licenses/LICENSE": "Apache-2.0",
}


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO())


@pytest.fixture(autouse=True)
def small_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tag = "py3-none-manylinux_2_35_x86_64"
    sha256 = put_wheel(tmp_path / "index", "nvidia-pytriton", "0.7.0", FILES, tag)
    use_only(monkeypatch, tmp_path / "index")
    monkeypatch.setattr(fetch, "WHEEL", Wheel("nvidia-pytriton", "0.7.0", sha256, "manylinux_2_35_x86_64"))


def unpacked(install: TritonInstall) -> set[str]:
    return {str(path.relative_to(install.root)) for path in install.root.rglob("*") if path.is_file()}


def test_only_what_is_needed_is_unpacked_once(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    install = ensure_triton(tmp_path / "my cache", console)
    assert install.version == "2.51.0"
    unneeded = {path for path in FILES if any(part in path for part in ("__pycache__", "3.10", "client", "libpython3"))}
    assert unpacked(install) == set(FILES) - unneeded
    assert os.access(install.server, os.X_OK)
    assert os.access(install.stub("3.12"), os.X_OK)
    assert sorted(path.name for path in (tmp_path / "my cache").iterdir()) == [".lock", install.root.name]
    use_only(monkeypatch, tmp_path / "empty")
    assert ensure_triton(tmp_path / "my cache", console) == install


def test_what_somebody_cleaned_up_is_fetched_again(tmp_path: Path, console: Console) -> None:
    install = ensure_triton(tmp_path / "cache", console)
    shutil.rmtree(install.root / "pytriton")
    assert ensure_triton(tmp_path / "cache", console) == install
    assert SERVER in unpacked(install)


def test_two_at_once_fetch_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [io.StringIO(), io.StringIO()]
    threads = [
        threading.Thread(target=ensure_triton, args=(tmp_path / "cache", Console(file=file, width=200)))
        for file in said
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    texts = sorted(file.getvalue() for file in said)
    assert texts[0] == "Another process is fetching Triton; waiting for it\n"
    assert texts[1].startswith("Fetching nvidia-pytriton 0.7.0")


def test_what_a_killed_process_left_is_removed(tmp_path: Path, console: Console) -> None:
    leftover = tmp_path / "cache" / ".unpack-killed" / "unpacked"
    leftover.mkdir(parents=True)
    ensure_triton(tmp_path / "cache", console)
    assert not leftover.exists()


def test_a_failed_fetch_leaves_nothing_behind(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "WHEEL", Wheel("nvidia-pytriton", "0.7.0", "0" * 64))
    with pytest.raises(SetupError, match="sha256"):
        ensure_triton(tmp_path / "cache", console)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_too_little_space_is_said_before_anything_is_fetched(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 5, 5 * 2**20))  # type: ignore[attr-defined]
    with pytest.raises(SetupError, match=r"needs 300 MiB in .*, and 5 MiB are free; free some space, or set another"):
        ensure_triton(tmp_path / "cache", console)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, console: Console) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match=r"cannot be unpacked in .*/file/cache: .*triton.cache_dir"):
        ensure_triton(tmp_path / "file" / "cache", console)


def test_the_default_is_the_user_s_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache_dir({"XDG_CACHE_HOME": "/c"}) == Path("/c/triton-gateway")
    assert default_cache_dir({"XDG_CACHE_HOME": "relative"}) == tmp_path / ".cache/triton-gateway"
    assert default_cache_dir({}) == tmp_path / ".cache/triton-gateway"
