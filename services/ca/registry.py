"""The registry: identities, certificates, revocation lists. SQLite; a commit is on the disk when it returns.

One connection, used from any thread under one lock; :meth:`Registry.transaction` holds it. Times are microseconds since
1970, serial numbers go in as hex text since they are longer than SQLite's integers.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.errors import NoSpaceLeft, NotFoundError, SettingsError
from gridledger.identity.certificate import Certificate
from services.ca.authority import Revocation
from services.ca.errors import IdentityExists

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE identities (
    organisation TEXT NOT NULL, id TEXT NOT NULL, role TEXT NOT NULL, secret_hash TEXT NOT NULL,
    max_enrollments INTEGER NOT NULL, enrollments INTEGER NOT NULL DEFAULT 0,
    attributes TEXT NOT NULL, hosts TEXT NOT NULL,
    registered_us INTEGER NOT NULL, registered_by TEXT NOT NULL, revoked_us INTEGER,
    PRIMARY KEY (organisation, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE certificates (
    organisation TEXT NOT NULL, serial TEXT NOT NULL, id TEXT NOT NULL, fingerprint TEXT NOT NULL, der BLOB NOT NULL,
    issued_us INTEGER NOT NULL, not_after_us INTEGER NOT NULL, revoked_us INTEGER,
    PRIMARY KEY (organisation, serial)
) STRICT;
CREATE INDEX certificates_by_id ON certificates (organisation, id);
CREATE INDEX revoked_certificates ON certificates (organisation, revoked_us) WHERE revoked_us IS NOT NULL;
CREATE TABLE revocation_lists (
    organisation TEXT PRIMARY KEY, number INTEGER NOT NULL, pem TEXT NOT NULL, issued_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class RegisteredIdentity:
    """One identity. ``hosts``: the names its certificates may serve under; ``revoked_us``: None while it is good."""

    id: str
    role: str
    secret_hash: str
    max_enrollments: int
    enrollments: int
    attributes: Mapping[str, str]
    hosts: tuple[str, ...]
    registered_us: int
    registered_by: str
    revoked_us: int | None = None


@dataclass(frozen=True, slots=True)
class RevocationList:
    """The list that was published last."""

    number: int
    pem: str
    issued_us: int


class Registry:
    """The file. Writes happen inside :meth:`transaction` only, which commits or leaves everything as it was."""

    def __init__(self, path: Path) -> None:
        """Raises :class:`SettingsError` for a file that a later version wrote, or that is no registry."""
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=5.0)
            path.chmod(0o600)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.row_factory = sqlite3.Row
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT")
            elif version != SCHEMA_VERSION:
                raise SettingsError(f"{path} has schema {version}; this version reads {SCHEMA_VERSION}")
        except sqlite3.Error as error:
            raise SettingsError(f"cannot use the registry {path}: {error}") from None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is written inside, or, when an error leaves the block or the disk is full, none of it."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except BaseException as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error) and error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                    raise NoSpaceLeft("no space left on device: free space where the CA keeps its data") from error
                raise

    def find(self, organisation: str, identity: str) -> RegisteredIdentity | None:
        """The identity, or None."""
        rows = self._all("SELECT * FROM identities WHERE organisation = ? AND id = ?", organisation, identity)
        return _registered(rows[0]) if rows else None

    def get(self, organisation: str, identity: str) -> RegisteredIdentity:
        """The identity; :class:`NotFoundError` when there is none."""
        found = self.find(organisation, identity)
        if found is None:
            raise NotFoundError(f"{organisation} has no identity {identity!r}", code="IDENTITY_UNKNOWN")
        return found

    def identities(self, organisation: str, after: str, limit: int) -> list[RegisteredIdentity]:
        """Identities in the order of their ids, starting behind ``after``."""
        query = "SELECT * FROM identities WHERE organisation = ? AND id > ? ORDER BY id LIMIT ?"
        return [_registered(row) for row in self._all(query, organisation, after, limit)]

    def add(self, organisation: str, new: RegisteredIdentity) -> None:
        """Add an identity; :class:`IdentityExists`."""
        members = (new.id, new.role, new.secret_hash, new.max_enrollments)
        texts = (jsontext.dumps(dict(new.attributes)).decode(), jsontext.dumps(list(new.hosts)).decode())
        try:
            self._db.execute(
                "INSERT INTO identities (organisation, id, role, secret_hash, max_enrollments, attributes, hosts,"
                " registered_us, registered_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (organisation, *members, *texts, new.registered_us, new.registered_by),
            )
        except sqlite3.IntegrityError:
            raise IdentityExists(f"{organisation} has an identity {new.id!r} already") from None

    def count_enrollment(self, organisation: str, identity: str) -> bool:
        """Use up one enrolment; False when none is left or the identity is revoked."""
        cursor = self._db.execute(
            "UPDATE identities SET enrollments = enrollments + 1"
            " WHERE organisation = ? AND id = ? AND enrollments < max_enrollments AND revoked_us IS NULL",
            (organisation, identity),
        )
        return cursor.rowcount == 1

    def add_certificate(self, organisation: str, identity: str, certificate: Certificate, issued_us: int) -> None:
        """Remember a certificate before it is handed out."""
        self._db.execute(
            "INSERT INTO certificates (organisation, serial, id, fingerprint, der, issued_us, not_after_us)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(organisation, f"{certificate.serial:x}", identity, certificate.fingerprint, certificate.der),
                *(issued_us, certificate.not_after_us),
            ),
        )

    def revoke_identity(self, organisation: str, identity: str, at_us: int) -> list[int]:
        """Revoke an identity and all its certificates; the serials that were not revoked before."""
        self._db.execute(
            "UPDATE identities SET revoked_us = ? WHERE organisation = ? AND id = ? AND revoked_us IS NULL",
            (at_us, organisation, identity),
        )
        rows = self._all(
            "SELECT serial FROM certificates WHERE organisation = ? AND id = ? AND revoked_us IS NULL",
            *(organisation, identity),
        )
        serials = [int(row["serial"], 16) for row in rows]
        return [serial for serial in serials if self.revoke_certificate(organisation, serial, at_us)]

    def revoke_certificate(self, organisation: str, serial: int, at_us: int) -> bool:
        """Revoke one certificate; False when it was revoked before. :class:`NotFoundError` when it is not ours."""
        row = self._all(
            "SELECT revoked_us FROM certificates WHERE organisation = ? AND serial = ?", organisation, f"{serial:x}"
        )
        if not row:
            raise NotFoundError(f"{organisation} has issued no certificate {serial:x}", code="CERTIFICATE_UNKNOWN")
        if row[0]["revoked_us"] is not None:
            return False
        self._db.execute(
            "UPDATE certificates SET revoked_us = ? WHERE organisation = ? AND serial = ?",
            (at_us, organisation, f"{serial:x}"),
        )
        return True

    def revocations(self, organisation: str, expired_before_us: int) -> list[Revocation]:
        """All revoked certificates but those that have expired before then: dates refuse these already."""
        rows = self._all(
            "SELECT serial, revoked_us FROM certificates WHERE organisation = ? AND revoked_us IS NOT NULL"
            " AND not_after_us >= ? ORDER BY revoked_us, serial",
            *(organisation, expired_before_us),
        )
        return [Revocation(int(row["serial"], 16), row["revoked_us"]) for row in rows]

    def revocation_list(self, organisation: str) -> RevocationList | None:
        """The list that was published last, or None before the first."""
        rows = self._all("SELECT * FROM revocation_lists WHERE organisation = ?", organisation)
        return RevocationList(rows[0]["number"], rows[0]["pem"], rows[0]["issued_us"]) if rows else None

    def put_revocation_list(self, organisation: str, published: RevocationList) -> None:
        """Replace the list."""
        self._db.execute(
            "INSERT OR REPLACE INTO revocation_lists (organisation, number, pem, issued_us) VALUES (?, ?, ?, ?)",
            (organisation, published.number, published.pem, published.issued_us),
        )

    def _all(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(query, values).fetchall()


def _registered(row: sqlite3.Row) -> RegisteredIdentity:
    return RegisteredIdentity(
        id=row["id"],
        role=row["role"],
        secret_hash=row["secret_hash"],
        max_enrollments=row["max_enrollments"],
        enrollments=row["enrollments"],
        attributes=jsontext.loads_trusted(row["attributes"]),
        hosts=tuple(jsontext.loads_trusted(row["hosts"])),
        registered_us=row["registered_us"],
        registered_by=row["registered_by"],
        revoked_us=row["revoked_us"],
    )
