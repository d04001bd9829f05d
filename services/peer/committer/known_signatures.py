"""Endorsement signatures that this peer's edge has made or verified, which its committer need not verify again.

The edge signs this peer's endorsements and, as a gateway, verifies those of other peers. It tells the committer of
each, over the socket that only these two hold. The committer verifies all other signatures, and those that it was not
told of (after a restart, or beyond the bounds). Verifying a whole ledger verifies all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import sha256

from gridledger import framing
from gridledger.errors import MalformedFrames
from gridledger.ledger.validation import SignatureCheck, VerifyMany

MAX_KEPT = 16_384
"""How many signatures the committer remembers: about 2 MB. The oldest are forgotten."""

DIGEST_BYTES = 32
MAX_NOTES_PER_FRAME = 4096
MAX_FRAME_BYTES = MAX_NOTES_PER_FRAME * DIGEST_BYTES

NOTES_DELAY_S = 0.02
"""How long the edge gathers notes before it sends them, so that the committer is not woken for each. A transaction that
is committed sooner has its signatures verified; then the machine is idle anyway."""

MAX_WAITING_BYTES = 256 * 1024
"""How many bytes may wait for the committer to read them. Beyond that notes are dropped."""


def digest_of(check: SignatureCheck) -> bytes:
    """The name of a signature that verifies: it covers the certificate, the signature and the signed text."""
    # The first is of fixed length and the second's length is named, so no two of them run together alike.
    head = b"%s%d:" % (check.certificate.fingerprint.encode("ascii"), len(check.signature))
    return sha256(b"".join((head, check.signature, check.data))).digest()


class Notes:
    """The edge's side: gathers what was signed or verified, and sends it to the committer."""

    def __init__(self) -> None:
        self._notes: list[bytes] = []

    def add(self, writer: asyncio.StreamWriter, check: SignatureCheck) -> None:
        """Note a signature that is known to verify; it is sent soon, together with others."""
        if not self._notes:
            asyncio.get_running_loop().call_later(NOTES_DELAY_S, self._tell, writer)
        self._notes.append(digest_of(check))

    def _tell(self, writer: asyncio.StreamWriter) -> None:
        """Send what came since the last time. If the committer does not read, drop it: it verifies these then."""
        notes, self._notes = self._notes, []
        if writer.is_closing() or writer.transport.get_write_buffer_size() > MAX_WAITING_BYTES:
            return
        for start in range(0, len(notes), MAX_NOTES_PER_FRAME):
            writer.write(framing.frame(b"".join(notes[start : start + MAX_NOTES_PER_FRAME])))


class KnownSignatures:
    """The committer's side. One thread adds, any thread may ask."""

    def __init__(self, *, max_kept: int = MAX_KEPT) -> None:
        self._max_kept = max_kept
        # Two generations: when the recent one is full it becomes the earlier one. Bounded, without bookkeeping.
        self._recent: set[bytes] = set()
        self._earlier: set[bytes] = set()

    def add(self, frame: bytes) -> None:
        """Take a frame of :class:`Notes`; :class:`MalformedFrames` for anything else."""
        count, rest = divmod(len(frame), DIGEST_BYTES)
        if rest or count > MAX_NOTES_PER_FRAME:
            raise MalformedFrames(f"{len(frame)} bytes are no frame of at most {MAX_NOTES_PER_FRAME} digests")
        if len(self._recent) + count > self._max_kept // 2:
            self._earlier, self._recent = self._recent, set()
        self._recent.update(frame[start : start + DIGEST_BYTES] for start in range(0, len(frame), DIGEST_BYTES))

    def know(self, check: SignatureCheck) -> bool:
        """Whether this signature was made or verified by the edge. False says nothing about the signature."""
        digest = digest_of(check)
        return digest in self._recent or digest in self._earlier

    def sparing(self, verify_many: VerifyMany) -> VerifyMany:
        """A ``verify_many`` that verifies all signatures but those known."""

        def verify_others(checks: Sequence[SignatureCheck]) -> list[bool]:
            known = [self.know(check) for check in checks]
            outcomes = iter(verify_many([check for check, spared in zip(checks, known, strict=True) if not spared]))
            return [spared or next(outcomes) for spared in known]

        return verify_others
