"""Bodies that stay off the ledger, each with the 16 random bytes that its hash on the ledger is salted with.

One file an hour, a JSON text a line. A body is deleted by writing its file anew without it: then the ledger's hash
tells nothing of it any more, and all else goes on to be proved. What the hash names is compared with each body read.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridledger import jsontext
from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.errors import GridLedgerError, NoSpaceLeft
from gridledger.evidence.events import SALT_BYTES, salted_hash
from gridledger.files import disk_failure, write_atomically
from gridledger.protocol.fields import object_of, text_of
from services.lightnode.errors import BodyGone, RecorderFull, RecorderOut
from services.lightnode.recorder.records import MAX_BATCH_BYTES

_FLAGS: Final = os.O_RDWR | os.O_CREAT
_SUFFIX: Final = ".bodies"
_HOUR_US: Final = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Body:
    """A body and its salt."""

    salt: bytes
    text: str

    @property
    def sha256(self) -> str:
        """What the ledger has of it."""
        return salted_hash(self.salt, self.text)

    def line(self) -> bytes:
        """As it stands in the file."""
        return jsontext.dumps({"salt": self.salt.hex(), "body": self.text}) + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Body | None:
        """From the file; None where it is none."""
        try:
            members = object_of(jsontext.loads(line), "a body")
            salt = bytes.fromhex(text_of(members, "salt"))
            body = cls(salt, text_of(members, "body", max_length=MAX_BATCH_BYTES, empty=True))
        except (GridLedgerError, ValueError):
            return None
        return body if len(salt) == SALT_BYTES else None


class Bodies:
    """The files. Its calls block; any thread may call."""

    def __init__(self, folder: Path, max_bytes: int, disk: Disk = SYSTEM_DISK) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._disk = disk
        self._lock = threading.Lock()
        self._place: dict[str, str] = {}
        """The file of each body by its hash."""
        self._sizes: dict[str, int] = {}
        self._failed: str | None = None
        try:
            disk.make_folder(folder)
            self._read_all()
        except OSError as error:
            raise disk_failure(error, folder) from error

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(self._sizes.values())

    def add(self, bodies: Sequence[Body], now_us: int) -> None:
        """Keep bodies; they are on the disk when this returns. Raises :class:`RecorderFull`, :class:`RecorderOut`."""
        if not bodies:
            return
        with self._lock:
            if self._failed is not None:
                raise RecorderOut(self._failed)
            data = b"".join([body.line() for body in bodies])
            if self.size + len(data) > self._max_bytes:
                raise RecorderFull(
                    f"the bodies that stay off the ledger have {self.size} of {self._max_bytes} bytes: delete old "
                    "ones, or raise recorder.max_body_bytes"
                )
            name = f"{now_us // _HOUR_US:09d}{_SUFFIX}"
            self._append(name, data)
            self._place.update(dict.fromkeys([body.sha256 for body in bodies], name))

    def get(self, body_hash: str) -> Body:
        """The body that a hash names; :class:`BodyGone`."""
        with self._lock:
            name = self._place.get(body_hash)
            found = None if name is None else next((one for one in self._bodies(name) if one.sha256 == body_hash), None)
        if found is None:
            raise BodyGone("the body of this event was deleted, or it is kept elsewhere")
        return found

    def delete(self, body_hash: str) -> None:
        """Have a body no more. Nothing where there is none."""
        with self._lock:
            name = self._place.get(body_hash)
            if name is None:
                return
            left = b"".join([body.line() for body in self._bodies(name) if body.sha256 != body_hash])
            try:
                if left:
                    write_atomically(self._folder / name, left, mode=0o600, disk=self._disk)
                else:
                    self._disk.unlink(self._folder / name)
                    self._disk.sync_folder(self._folder)
            except OSError as error:
                raise disk_failure(error, self._folder / name) from error
            self._sizes[name] = len(left)
            del self._place[body_hash]

    def _append(self, name: str, data: bytes) -> None:
        path, size = self._folder / name, self._sizes.get(name, 0)
        descriptor = -1
        try:
            descriptor = self._disk.open(path, _FLAGS, 0o600)
            self._disk.pwrite(descriptor, (data,), size)
            self._disk.fdatasync(descriptor)
            if not size:
                self._disk.sync_folder(self._folder)
        except OSError as error:
            told = disk_failure(error, path)
            if isinstance(told, NoSpaceLeft) and (descriptor < 0 or self._cut(descriptor, size)):
                raise RecorderFull(told.message) from error
            self._failed = told.message
            raise RecorderOut(told.message) from error
        finally:
            if descriptor >= 0:
                self._disk.close(descriptor)
        self._sizes[name] = size + len(data)

    def _cut(self, descriptor: int, size: int) -> bool:
        try:
            self._disk.truncate(descriptor, size)
        except OSError:
            return False
        return True

    def _bodies(self, name: str) -> Iterable[Body]:
        try:
            data = self._disk.read(self._folder / name)
        except OSError as error:
            raise RecorderOut(f"{self._folder / name} cannot be read: {error.strerror}") from None
        return [body for body in map(Body.read, data.splitlines()) if body is not None]

    def _read_all(self) -> None:
        for name in self._disk.names(self._folder):
            if not name.endswith(_SUFFIX):
                self._disk.unlink(self._folder / name)  # left by a file that was to be written anew
                continue
            data = self._disk.read(self._folder / name)
            whole = data.rfind(b"\n") + 1
            if whole < len(data):  # torn, and nobody was answered for it
                descriptor = self._disk.open(self._folder / name, _FLAGS, 0o600)
                try:
                    self._disk.truncate(descriptor, whole)
                    self._disk.fsync(descriptor)
                finally:
                    self._disk.close(descriptor)
            self._sizes[name] = whole
            bodies = [body for body in map(Body.read, data[:whole].splitlines()) if body is not None]
            self._place.update(dict.fromkeys([body.sha256 for body in bodies], name))
