"""The chaincode packages that are installed on this peer: archives, and the folders they were unpacked to."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import NamedTuple

from gridledger.contract import packaging
from gridledger.errors import LimitError
from gridledger.files import write_atomically

MAX_PACKAGES = 1000
_ID = re.compile(r"[0-9a-f]{64}")


class Package(NamedTuple):
    """An installed package: its id (SHA-256 of the archive) and the archive's size in bytes."""

    id: str
    size: int


class Packages:
    """Keeps packages in ``directory``; takes what is missing there from ``seeds``, a folder of ``<id>.tar.gz``.

    Nothing here runs a package. All methods touch the disk: call them from a thread.
    """

    def __init__(self, directory: Path, seeds: Path | None = None) -> None:
        self._directory = directory
        self._seeds = seeds

    def installed(self) -> list[Package]:
        """All packages, by id."""
        found = []
        for path in sorted(self._directory.glob("*.tar.gz")):
            identifier = path.name.removesuffix(".tar.gz")
            if _ID.fullmatch(identifier):
                found.append(Package(identifier, path.stat().st_size))
        return found

    def install(self, package: bytes) -> str:
        """Install a package and return its id; installing it again changes nothing.

        Raises PackageError (400) for bytes that are no package, LimitError when there are too many.
        """
        self.unpack(package)
        return self.keep(package)

    def unpack(self, package: bytes) -> Path:
        """The first half of an installation: the folder that the package was unpacked to. Raises as :meth:`install`."""
        identifier = packaging.package_id(package)
        if not self._archive(identifier).exists() and len(self.installed()) >= MAX_PACKAGES:
            raise LimitError(f"{MAX_PACKAGES} packages are installed here already; remove some from {self._directory}")
        packaging.unpack(package, self._folder(identifier))
        return self._folder(identifier)

    def keep(self, package: bytes) -> str:
        """The second half: an archive that is there stands for a complete installation."""
        identifier = packaging.package_id(package)
        if not self._archive(identifier).exists():
            write_atomically(self._archive(identifier), package)
        return identifier

    def discard(self, package: bytes) -> None:
        """Remove what :meth:`unpack` made of a package that is not installed."""
        identifier = packaging.package_id(package)
        if not self._archive(identifier).exists():
            shutil.rmtree(self._folder(identifier), ignore_errors=True)

    def folder(self, identifier: str) -> Path | None:
        """Where the package is unpacked; None if it is neither installed nor among the seeds."""
        if not _ID.fullmatch(identifier):
            return None
        if self._archive(identifier).exists():
            packaging.unpack(self._archive(identifier).read_bytes(), self._folder(identifier))
            return self._folder(identifier)
        seed = None if self._seeds is None else self._seeds / f"{identifier}.tar.gz"
        if seed is None or not seed.exists():
            return None
        package = seed.read_bytes()
        return self._folder(identifier) if self.install(package) == identifier else None

    def _archive(self, identifier: str) -> Path:
        return self._directory / f"{identifier}.tar.gz"

    def _folder(self, identifier: str) -> Path:
        return self._directory / identifier
