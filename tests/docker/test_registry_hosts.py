"""No file says where packages or images come from: that is the choice of whoever installs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# In pieces, so that this file does not name them either.
HOSTS = tuple(
    ".".join(labels).encode()
    for labels in (
        ("nvcr", "io"),
        ("docker", "io"),
        ("hub", "docker", "com"),
        ("ghcr", "io"),
        ("gcr", "io"),
        ("pkg", "dev"),
        ("quay", "io"),
        ("registry", "k8s", "io"),
        ("ecr", "aws"),
        ("mcr", "microsoft", "com"),
        ("azurecr", "io"),
        ("pypi", "org"),
        ("pypi", "nvidia", "com"),
        ("pythonhosted", "org"),
        ("download", "pytorch", "org"),
        ("ngc", "nvidia", "com"),
        ("anaconda", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("unpkg", "com"),
        ("jsdelivr", "net"),
    )
)


def named_in(text: bytes) -> set[str]:
    """The registry hosts that `text` names."""
    return {host.decode() for host in HOSTS if host in text.lower()}


def test_a_registry_host_is_recognised() -> None:
    host = HOSTS[0].decode()

    assert named_in(f"FROM {host}/nvidia/tritonserver".encode()) == {host}
    assert named_in(b"FROM python:3.11-slim-bookworm") == set()


def test_no_file_of_the_repository_names_a_registry_host() -> None:
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("this is not a git checkout, so there is no list of the repository's files")
    # New files too, so that a host is found before it is committed.
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    files = [ROOT / name.decode() for name in listing.stdout.split(b"\0") if name]

    found = {str(file.relative_to(ROOT)): named_in(file.read_bytes()) for file in files if file.is_file()}

    assert len(found) > 1
    assert {name: hosts for name, hosts in found.items() if hosts} == {}
