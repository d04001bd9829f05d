"""Chaincode packages: a folder as one file that peers install, named by its SHA-256.

A package is a gzipped tar of the folder's source and data files, sorted by path, without times, owners or modes, so
that packing the same folder twice gives the same bytes.
"""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tempfile
import zlib
from gzip import GzipFile
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Final

from gridledger.errors import InputError

SUFFIXES: Final = frozenset((".py", ".toml", ".json", ".md", ".txt"))
MAX_FILES: Final = 500
MAX_UNPACKED_BYTES: Final = 16 * 1024 * 1024
MAX_PACKED_BYTES: Final = 8 * 1024 * 1024
_MAX_PATH_CHARACTERS: Final = 200
_TAR_OVERHEAD_BYTES: Final = MAX_FILES * 1024 + 10240


class PackageError(InputError):
    """A folder cannot be packed, or bytes are no package."""

    code = "BAD_PACKAGE"


def pack(folder: Path) -> bytes:
    """The package of ``folder``: its files with the suffixes in SUFFIXES, hidden ones and __pycache__ left out."""
    contents = _collect(folder)
    if not {"contract.py", "__init__.py"} & contents.keys():
        raise PackageError(f"{folder} holds neither contract.py nor __init__.py: it is no chaincode")
    archive = io.BytesIO()
    with (
        GzipFile(filename="", mode="wb", fileobj=archive, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, data in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    package = archive.getvalue()
    if len(package) > MAX_PACKED_BYTES:
        raise PackageError(f"the package of {folder} takes {len(package)} bytes, the bound is {MAX_PACKED_BYTES}")
    return package


def package_id(package: bytes) -> str:
    """The name of a package: SHA-256 of its bytes, hexadecimal."""
    return sha256(package).hexdigest()


def unpack(package: bytes, destination: Path) -> None:
    """Write a package's files into the new folder ``destination``, whole or not at all.

    Where ``destination`` is there already, nothing is done: folders are to be named by :func:`package_id`. Anything but
    plain files at plain relative paths is refused, before a byte is written.
    """
    contents = read(package)
    if destination.is_dir():
        return
    destination.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=destination.parent, prefix=".unpacking-"))
    try:
        fresh.chmod(0o755)
        for name, data in contents.items():
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        fresh.rename(destination)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        if destination.is_dir():  # another process was faster, with the same bytes
            return
        raise


def read(package: bytes) -> dict[str, bytes]:
    """The files of a package by path; :class:`PackageError` where it is none, or beyond a bound."""
    if len(package) > MAX_PACKED_BYTES:
        raise PackageError(f"a package of {len(package)} bytes is beyond the bound of {MAX_PACKED_BYTES}")
    contents: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(_decompress(package)), mode="r:") as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isreg() else None
                if file is None:
                    raise PackageError(f"{member.name!r} in the package is no plain file")
                if len(contents) == MAX_FILES:
                    raise PackageError(f"a package holds at most {MAX_FILES} files")
                contents[_safe_name(member.name, contents)] = file.read()
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise PackageError(f"not a package: {error}") from None
    for name in contents:
        if any(str(parent) in contents for parent in PurePosixPath(name).parents):
            raise PackageError(f"the path {name!r} in the package goes through a file")
    if not {"contract.py", "__init__.py"} & contents.keys():
        raise PackageError("the package holds neither contract.py nor __init__.py: it is no chaincode")
    return contents


def _collect(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise PackageError(f"{folder} is not a folder")
    contents: dict[str, bytes] = {}
    total = 0
    for path in _files_below(folder):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise PackageError(f"{name} is a symbolic link; packages hold plain files")
        data = path.read_bytes()
        total += len(data)
        contents[_safe_name(name, contents)] = data
        if len(contents) > MAX_FILES or total > MAX_UNPACKED_BYTES:
            raise PackageError(f"a package holds at most {MAX_FILES} files and {MAX_UNPACKED_BYTES} bytes")
    return dict(sorted(contents.items()))


def _files_below(folder: Path) -> list[Path]:
    found: list[Path] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        found += [Path(parent, name) for name in files if not name.startswith(".") and Path(name).suffix in SUFFIXES]
    return found


def _decompress(package: bytes) -> bytes:
    bound = MAX_UNPACKED_BYTES + _TAR_OVERHEAD_BYTES
    inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    data = inflater.decompress(package, bound + 1)
    if len(data) > bound:
        raise PackageError(f"the package unpacks to more than {MAX_UNPACKED_BYTES} bytes")
    if not inflater.eof or inflater.unused_data:
        raise PackageError("the package is cut short, or something follows it")
    return data


def _safe_name(name: str, others: dict[str, bytes]) -> str:
    path = PurePosixPath(name)
    safe = (
        not path.is_absolute()
        and ".." not in path.parts
        and path.as_posix() == name
        and not any(part.startswith(".") for part in path.parts)
        and path.suffix in SUFFIXES
        and len(name) <= _MAX_PATH_CHARACTERS
        and name.isprintable()
    )
    if not safe or name in others:
        raise PackageError(f"the path {name!r} cannot stand in a package")
    return name
