import io
import os
import pickle
import socket
import stat
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.archive import check_tree, unpack

LIMITS = {"max_bytes": 64 << 20, "max_files": 100}


def a_zip(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        for name, target in (links or {}).items():
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, target)
    return path


def a_tar(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return path


Make = Callable[..., Path]
both = pytest.mark.parametrize("make", [a_zip, a_tar])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@both
def test_files_folders_and_links_come_out_as_they_were(make: Make, tmp_path: Path, out: Path) -> None:
    files = {"MLmodel": b"flavors", "data/model.onnx": b"onnx" * 1000, "data/Model.onnx": b"another"}
    archive = make(tmp_path / "model.archive", files, {"data/latest": "model.onnx", "top/below/up": "../../MLmodel"})
    unpack(archive, out, **LIMITS)
    assert {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()} == {
        **files,
        "data/latest": files["data/model.onnx"],
        "top/below/up": files["MLmodel"],
    }


@both
@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/etc/evil", "C:/evil", "c:evil", "a\\..\\evil", "a/../b", "new\nline"]
)
def test_names_that_could_leave_the_folder_are_refused(make: Make, name: str, tmp_path: Path, out: Path) -> None:
    with pytest.raises(ModelRefused, match="outside of its folder"):
        unpack(make(tmp_path / "model.archive", {name: b"evil"}), out, **LIMITS)
    assert not (tmp_path / "evil").exists()
    assert not list(out.iterdir())


@both
@pytest.mark.parametrize(
    "links",
    [
        {"link": "/etc/passwd"},
        {"link": ".."},
        {"a/link": "../../etc"},
        {"sub/d": "..", "e": "sub/d/../../etc"},
        {"link": "a\\b"},
    ],
)
def test_links_that_leave_the_folder_are_refused(make: Make, links: dict[str, str], tmp_path: Path, out: Path) -> None:
    with pytest.raises(ModelRefused, match="a link that leaves"):
        unpack(make(tmp_path / "model.archive", {"file": b""}, links), out, **LIMITS)


@both
def test_a_link_that_leads_nowhere_is_refused(make: Make, tmp_path: Path, out: Path) -> None:
    with pytest.raises(ModelRefused, match="'link' is a link that leads nowhere"):
        unpack(make(tmp_path / "model.archive", {}, {"link": "link"}), out, **LIMITS)


@both
def test_nothing_is_written_through_a_link(make: Make, tmp_path: Path, out: Path) -> None:
    archive = make(tmp_path / "model.archive", {"a/file": b"", "b/link/file": b""}, {"b/link": "../a"})
    with pytest.raises(ModelRefused, match=r"holds 'b/link' twice"):
        unpack(archive, out, **LIMITS)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@both
def test_a_name_that_stands_for_two_things_is_refused(make: Make, tmp_path: Path, out: Path) -> None:
    one = make(tmp_path / "one.archive", {"a": b"file", "a/b": b"in it"})
    two = make(tmp_path / "two.archive", {"a/b": b"in it", "./a/b": b"again"})
    for archive in (one, two):
        with pytest.raises(ModelRefused, match="twice"):
            unpack(archive, _empty(out / archive.stem), **LIMITS)


@both
def test_what_unpacks_to_too_much_is_refused(make: Make, tmp_path: Path, out: Path) -> None:
    zeros = make(tmp_path / "zeros.archive", {"model.bin": bytes(18 << 20)})
    unpack(zeros, out, **LIMITS, max_ratio=5000)
    with pytest.raises(ModelRefused, match="unpacks to more than is allowed"):
        unpack(zeros, _empty(tmp_path / "by_ratio"), **LIMITS, max_ratio=100)
    with pytest.raises(ModelRefused, match="unpacks to more than is allowed"):
        unpack(zeros, _empty(tmp_path / "by_size"), max_bytes=1 << 20, max_files=1)
    many = make(tmp_path / "many.archive", {str(number): b"" for number in range(4)})
    with pytest.raises(ModelRefused, match="too many files"):
        unpack(many, _empty(tmp_path / "by_count"), max_bytes=1, max_files=3)


def test_a_zip_that_lies_about_its_sizes_is_refused(tmp_path: Path, out: Path) -> None:
    archive = a_zip(tmp_path / "model.zip", {"model.bin": bytes(3 << 20)})
    content = archive.read_bytes()
    archive.write_bytes(content.replace(struct.pack("<L", 3 << 20), struct.pack("<L", 10)))
    with pytest.raises(ModelRefused):
        unpack(archive, out, max_bytes=1 << 20, max_files=10)
    assert sum(path.stat().st_size for path in out.rglob("*")) <= 1 << 20


def test_an_encrypted_zip_is_refused(tmp_path: Path, out: Path) -> None:
    archive = a_zip(tmp_path / "model.zip", {"model.bin": b"secret"})
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(ModelRefused, match="without a password"):
        unpack(archive, out, **LIMITS)


def test_devices_are_refused_and_hard_links_copied(tmp_path: Path, out: Path) -> None:
    archive = tmp_path / "model.tar"
    with tarfile.open(archive, "w") as writer:
        first, second = tarfile.TarInfo("weights"), tarfile.TarInfo("./again")
        first.size = 4
        second.type, second.linkname = tarfile.LNKTYPE, "weights"
        writer.addfile(first, io.BytesIO(b"1234"))
        writer.addfile(second)
    unpack(archive, out, **LIMITS)
    assert (out / "again").read_bytes() == b"1234"
    assert (out / "again").stat().st_nlink == 1
    with tarfile.open(archive, "w") as writer:
        device = tarfile.TarInfo("null")
        device.type = tarfile.CHRTYPE
        writer.addfile(device)
    with pytest.raises(ModelRefused, match="'null', which is neither a file nor a folder"):
        unpack(archive, _empty(tmp_path / "device"), **LIMITS)


@both
def test_an_archive_that_was_cut_short_is_refused(make: Make, tmp_path: Path, out: Path) -> None:
    archive = make(tmp_path / "model.archive", {"a": os.urandom(1000), "b": b""})
    archive.write_bytes(archive.read_bytes()[:600])
    with pytest.raises(ModelRefused, match="cut short"):
        unpack(archive, out, **LIMITS)


def test_a_folder_of_plain_files_is_fine(out: Path) -> None:
    (out / "MLmodel").write_text("flavors: {}")
    (out / "empty").write_bytes(b"")
    (out / "weights.bin").write_bytes(b"\x80\x02 weights that only begin like a pickle")
    (out / "link").symlink_to("MLmodel")
    a_zip(out / "model.pt", {"model/data.pkl": pickle.dumps([1]), "model/code/net.py": b""})
    check_tree(out)


def test_links_and_sockets_in_a_folder_are_refused(out: Path) -> None:
    (out / "below").mkdir()
    link = out / "below/link"
    for target, reason in (("../../..", "leaves the folder"), ("nothing", "leads nowhere"), ("link", "leads nowhere")):
        link.symlink_to(target)
        with pytest.raises(ModelRefused, match=f"'below/link' is a link that {reason}"):
            check_tree(out)
        link.unlink()
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as listening:  # names are short
        listening.bind(f"{short}/socket")
        with pytest.raises(ModelRefused, match="'socket' is neither a file nor a folder"):
            check_tree(Path(short))


@pytest.mark.parametrize("protocol", range(2, 6))
def test_pickles_are_refused_by_name_and_by_content(protocol: int, out: Path) -> None:
    (out / "model.bin").write_bytes(pickle.dumps({"weights": [1.0]}, protocol))
    with pytest.raises(ModelRefused, match=r"'model\.bin' is a pickle, .* runs whatever code"):
        check_tree(out)
    (out / "model.bin").rename(out / "model.joblib")
    (out / "model.joblib").write_bytes(b"compressed")
    with pytest.raises(ModelRefused, match=r"'model\.joblib' is a pickle, .* skops"):
        check_tree(out)


def test_an_old_checkpoint_of_pytorch_is_refused(out: Path) -> None:
    torch = pytest.importorskip("torch", reason="install the extra 'pytorch'")
    torch.save({"weight": torch.zeros(2)}, out / "weights.bin", _use_new_zipfile_serialization=False)
    with pytest.raises(ModelRefused, match=r"'weights\.bin' is a checkpoint of torch\.save"):
        check_tree(out)


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder
