import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.core.errors import SetupError
from gateway.triton.runtime import SHARED_MEMORY, RuntimeFolder, base_folder


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return base_folder({"XDG_RUNTIME_DIR": str(tmp_path)})


@pytest.fixture
def runtime(base: Path) -> Iterator[RuntimeFolder]:
    runtime = RuntimeFolder.create(base)
    yield runtime
    if runtime.path.exists():
        runtime.remove()


def test_the_base_is_private_and_below_the_user_s_runtime_folder(tmp_path: Path) -> None:
    base = base_folder({"XDG_RUNTIME_DIR": str(tmp_path)})
    assert base == tmp_path / "triton-gateway"
    assert base.stat().st_mode & 0o777 == 0o700


def test_a_runtime_folder_that_a_shell_would_read_otherwise_is_not_used(tmp_path: Path) -> None:
    unsafe = tmp_path / "a b"
    unsafe.mkdir()
    assert " " not in str(base_folder({"XDG_RUNTIME_DIR": str(unsafe)}))
    assert list(unsafe.iterdir()) == []


def test_a_base_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "triton-gateway").mkdir(mode=0o777)
    (tmp_path / "triton-gateway").chmod(0o777)
    with pytest.raises(SetupError, match="not a private folder of yours; remove it"):
        base_folder({"XDG_RUNTIME_DIR": str(tmp_path)})


def test_a_base_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "triton-gateway").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SetupError, match="not a private folder of yours"):
        base_folder({"XDG_RUNTIME_DIR": str(tmp_path)})


def test_backends_are_copied_for_real_with_the_stub_of_this_python(tmp_path: Path, runtime: RuntimeFolder) -> None:
    ours, python, stub = tmp_path / "backends", tmp_path / "python", tmp_path / "3.11" / "triton_python_backend_stub"
    for path in (
        ours / "onnxruntime/model.py",
        ours / "common/x.py",
        ours / "common/__pycache__/x.pyc",
        ours / "__init__.py",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("ours")
    for path in (python / "libtriton_python.so", python / stub.name, stub):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(path))
    runtime.install_backends(ours, python, stub)
    copied = {str(path.relative_to(runtime.backends)) for path in runtime.backends.rglob("*") if path.is_file()}
    assert copied == {
        "__init__.py",
        "common/x.py",
        "onnxruntime/model.py",
        "python/libtriton_python.so",
        f"python/{stub.name}",
    }
    assert (runtime.backends / "python" / stub.name).read_text() == str(stub)
    assert not any(path.is_symlink() for path in runtime.backends.rglob("*"))


def test_a_model_is_shown_and_hidden_at_a_safe_path(tmp_path: Path, runtime: RuntimeFolder) -> None:
    folder = tmp_path / "my models" / "add"
    folder.mkdir(parents=True)
    runtime.expose("add", folder)
    runtime.expose("add", folder)
    assert (runtime.models / "add").resolve() == folder
    runtime.hide("add")
    runtime.hide("add")
    assert list(runtime.models.iterdir()) == []


def test_an_empty_folder_stands_for_a_model_whose_own_is_gone(tmp_path: Path, runtime: RuntimeFolder) -> None:
    for model in ("add", "mul"):
        (tmp_path / model).mkdir()
        runtime.expose(model, tmp_path / model)
    assert not runtime.cover_gone()
    (tmp_path / "add").rmdir()
    assert runtime.cover_gone()
    assert list((runtime.models / "add").iterdir()) == []
    assert (runtime.models / "mul").resolve() == tmp_path / "mul"
    runtime.hide("add")
    assert [path.name for path in runtime.models.iterdir()] == ["mul"]


def test_removing_leaves_no_folder_and_no_shared_memory(runtime: RuntimeFolder) -> None:
    region = SHARED_MEMORY / f"{runtime.shared_memory_prefix}region"
    region.write_bytes(b"x")
    runtime.remove()
    assert not region.exists()
    assert not runtime.path.exists()


def test_a_new_run_removes_what_a_dead_one_left_and_nothing_of_a_living_one(base: Path, runtime: RuntimeFolder) -> None:
    dead = RuntimeFolder.create(base)
    regions = {name: SHARED_MEMORY / f"{name.shared_memory_prefix}region" for name in (dead, runtime)}
    for region in regions.values():
        region.write_bytes(b"x")
    os.close(dead.lock)  # as the kernel does when the last process that holds it dies
    newcomer = RuntimeFolder.create(base)
    try:
        assert not dead.path.exists()
        assert not regions[dead].exists()
        assert runtime.path.exists()
        assert regions[runtime].exists()
    finally:
        newcomer.remove()
