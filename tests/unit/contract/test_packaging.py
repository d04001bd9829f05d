"""Packages: the same bytes for the same folder, and nothing unsafe out of foreign bytes."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from gridledger.contract.packaging import MAX_UNPACKED_BYTES, PackageError, pack, package_id, read, unpack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "counter"
    (folder / "data").mkdir(parents=True)
    (folder / "__pycache__").mkdir()
    (folder / ".hidden").mkdir()
    for name in ("contract.py", "data/table.json", "__pycache__/contract.py", ".hidden/a.py", ".env.py", "secret.pem"):
        (folder / name).write_text(name)
    return folder


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return gzip.compress(buffer.getvalue())


def plain(name: str, data: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), data


def special(name: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/etc/passwd"
    return member, b""


def test_a_package_holds_sources_and_data_only(folder: Path) -> None:
    assert read(pack(folder)) == {"contract.py": b"contract.py", "data/table.json": b"data/table.json"}


def test_a_folder_has_one_package_whatever_its_times_and_modes(folder: Path) -> None:
    first = pack(folder)
    (folder / "contract.py").chmod(0o755)
    os.utime(folder / "contract.py", (1, 1))
    assert pack(folder) == first
    (folder / "contract.py").write_text("changed")
    assert package_id(pack(folder)) != package_id(first)


def test_unpacking_gives_the_folder_back_and_twice_is_harmless(folder: Path, tmp_path: Path) -> None:
    package = pack(folder)
    destination = tmp_path / "packages" / package_id(package)
    unpack(package, destination)
    unpack(package, destination)
    assert pack(destination) == package
    assert [path.name for path in destination.parent.iterdir()] == [package_id(package)]


@pytest.mark.parametrize(
    "members",
    [
        [plain("contract.py"), plain("../evil.py")],
        [plain("contract.py"), plain("/evil.py")],
        [plain("contract.py"), plain("a/../../evil.py")],
        [plain("contract.py"), plain("./a.py")],
        [plain("contract.py"), plain("a\n.py")],
        [plain("contract.py"), plain(".a.py")],
        [plain("contract.py"), plain("a.so")],
        [plain("contract.py"), plain("contract.py")],
        [plain("contract.py"), plain("contract.py/a.py")],
        [plain("contract.py"), special("a.py", tarfile.SYMTYPE)],
        [plain("contract.py"), special("a.py", tarfile.LNKTYPE)],
        [plain("contract.py"), special("a.py", tarfile.CHRTYPE)],
        [plain("contract.py"), special("a.py", tarfile.FIFOTYPE)],
        [plain("contract.py"), special("a", tarfile.DIRTYPE)],
        [plain("other.py")],
        [plain("contract.py"), *(plain(f"f{number}.py") for number in range(500))],
        [plain("contract.py", bytes(MAX_UNPACKED_BYTES + (1 << 20)))],
    ],
)
def test_unsafe_packages_are_refused_and_leave_nothing(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    with pytest.raises(PackageError):
        unpack(archive(*members), tmp_path / "packages" / "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [0, 1, 10, 50, -1])
def test_cut_or_foreign_bytes_are_refused(folder: Path, cut: int) -> None:
    package = pack(folder)
    for data in (package[:cut], package + b"x", b"PK" + package):
        with pytest.raises(PackageError):
            read(data)


def test_what_cannot_be_packed(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="is not a folder"):
        pack(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PackageError, match=r"neither contract\.py nor"):
        pack(tmp_path / "empty")
    (folder / "link.py").symlink_to("/etc/passwd")
    with pytest.raises(PackageError, match="symbolic link"):
        pack(folder)
