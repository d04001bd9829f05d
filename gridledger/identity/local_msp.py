"""A node's local MSP: its own organisation's roots and revocation lists, in files beside its identity.

Who may administer the node is judged by these alone. A channel's configuration has no say: its admins could else, by
giving the organisation another root, make themselves admins of its nodes. The files are ``roots.pem`` and, where
something is revoked, ``crls.pem``; they are read again when they change.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gridledger.errors import GridLedgerError, InputError, SettingsError
from gridledger.files import write_atomically
from gridledger.identity.certificate import Certificate
from gridledger.identity.errors import IdentityError
from gridledger.identity.msp import MSP, Identity, MSPManager
from gridledger.identity.revocation import MAX_LIST_BYTES, RevocationList, lists_of, merged, read_lists, split_lists

_log = logging.getLogger(__name__)

ROOTS, LISTS = "roots.pem", "crls.pem"
"""Names of the files in a node's identity folder."""

MAX_LOCAL_ROOTS = 16
MAX_ROOTS_BYTES = 256 * 1024
LOOK_S = 1.0
"""How often the files are looked at."""

_END = "-----END CERTIFICATE-----"
_Seen = tuple[tuple[int, int, int] | None, ...]


class LocalMSP:
    """The local MSP in ``folder``, an identity's folder. Made by :meth:`open`; safe to share between threads.

    ``trust`` is told the roots (PEM) whenever others are read: TLS must let in whom they have issued.
    """

    def __init__(
        self, folder: Path, mspid: str, roots: Sequence[str], lists: Sequence[str] = (), *, seen: _Seen = ()
    ) -> None:
        """Raises :class:`BadMSP` where they are none."""
        self.mspid = mspid
        self.trust: Callable[[str], None] = _trust_nobody_more
        self._folder = folder
        self._seen = seen
        self._writing = threading.Lock()
        self._lists: list[RevocationList] = []
        self._take(roots, lists)

    @classmethod
    def open(cls, folder: Path, mspid: str) -> LocalMSP:
        """Read the files; :class:`SettingsError` where they cannot be used, in one line that says what to do."""
        if not (folder / ROOTS).exists():
            raise SettingsError(
                f"there is no {folder / ROOTS}: put the root certificate of {mspid}, this node's own organisation, "
                "there (PEM); the node's admins are known by it alone"
            )
        try:
            seen = _look(folder)
            return cls(folder, mspid, *_read(folder), seen=seen)
        except (GridLedgerError, OSError) as error:
            raise SettingsError(f"the local MSP in {folder} cannot be used: {error}") from None

    @property
    def roots_pem(self) -> str:
        """The organisation's roots, as this node has them."""
        return "".join(root.pem for root in self._roots)

    def identify(self, certificate: Certificate, at_us: int) -> Identity:
        """Who of the node's own organisation this is; :class:`IdentityError` if nobody."""
        return self._manager.identify(certificate, at_us)

    def is_admin(self, certificate: Certificate, at_us: int) -> bool:
        """Whether this is an admin of the node's own organisation, now: issued by a root, not revoked, in its time."""
        try:
            return self.identify(certificate, at_us).role == "admin"
        except IdentityError:
            return False

    def publish(self, pem: bytes) -> list[dict[str, Any]]:
        """Take revocation lists (PEM), keep them, and judge by them from now on; all that are held then.

        Raises :class:`InputError`, BadMSP or ConflictError where they are none, not the organisation's, or older than
        those held. Blocks until they are on the disk.
        """
        try:
            text = pem.decode("ascii")
        except UnicodeDecodeError:
            raise InputError("revocation lists in PEM are ASCII text") from None
        with self._writing:
            found = merged(self._lists, read_lists(self.mspid, self._roots, split_lists(text)))
            write_atomically(self._folder / LISTS, "".join(item.pem for item in found).encode("ascii"))
            self._take([root.pem for root in self._roots], [item.pem for item in found])
        return [item.to_dict() for item in self._lists]

    def refresh(self) -> None:
        """Read the files again if they have changed. What cannot be used, or is gone, is logged once, and what was
        read before goes on to hold."""
        with self._writing:
            seen = _look(self._folder)
            if seen == self._seen:
                return
            self._seen = seen
            try:
                self._take(*_read(self._folder))
                self.trust(self.roots_pem)
            except (GridLedgerError, OSError) as error:
                _log.error("the local MSP in %s is not read again: %s", self._folder, error)
                return
        _log.info("the local MSP in %s is read again", self._folder)

    async def follow(self) -> None:
        """Look at the files once a second, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.refresh()

    def _take(self, roots: Sequence[str], lists: Sequence[str]) -> None:
        certificates = MSP(self.mspid, roots).roots
        texts = lists_of(self.mspid, certificates, lists)
        found = read_lists(self.mspid, certificates, texts)
        there = {root.fingerprint for root in certificates}
        if {item.issuer for item in self._lists} & there - {item.issuer for item in found}:
            raise SettingsError(f"{LISTS} has no list of a root that had one: put an empty list there to end it")
        self._manager = MSPManager({self.mspid: MSP(self.mspid, roots, texts)})
        self._lists, self._roots = found, certificates


def _trust_nobody_more(_pem: str) -> None:
    """Where no TLS is to follow."""


def _look(folder: Path) -> _Seen:
    """What tells that a file has changed: its time, size and inode."""
    found: list[tuple[int, int, int] | None] = []
    for name in (ROOTS, LISTS):
        try:
            stat = (folder / name).stat()
        except OSError:
            found.append(None)
        else:
            found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)


def _read(folder: Path) -> tuple[list[str], list[str]]:
    text = _bounded(folder / ROOTS, MAX_ROOTS_BYTES)
    *parts, rest = text.split(_END)
    if rest.strip() or not parts or len(parts) > MAX_LOCAL_ROOTS:
        raise SettingsError(f"{ROOTS} must have from 1 to {MAX_LOCAL_ROOTS} root certificates, and nothing besides")
    roots = [f"{part.strip()}\n{_END}\n" for part in parts]
    lists = folder / LISTS
    return roots, split_lists(_bounded(lists, MAX_LIST_BYTES)) if lists.exists() else []


def _bounded(path: Path, most: int) -> str:
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise SettingsError(f"{path.name} has more than {most} bytes")
    try:
        return content.decode("ascii")
    except UnicodeDecodeError:
        raise SettingsError(f"{path.name} is not ASCII text") from None
