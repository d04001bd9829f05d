"""Endorsement signatures that this peer made itself, which its committer need not verify.

The edge signs endorsements and tells the committer of each, over the socket that only these two hold. So the committer
knows that they were made with the peer's key. It verifies all other signatures, and those that it was not told of
(after a restart, or beyond the bounds). Verifying a whole ledger verifies all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gridledger import framing
from gridledger.identity.certificate import Certificate
from gridledger.ledger.validation import SignatureCheck, VerifyMany

MAX_KEPT = 16_384
"""How many endorsements the committer remembers: about 8 MB. The oldest are forgotten."""

MAX_NOTES_PER_FRAME = 4096
MAX_FRAME_BYTES = 4 * 1024 * 1024

NOTES_DELAY_S = 0.02
"""How long the edge gathers notes before it sends them, so that the committer is not woken for each. A transaction that
is committed sooner has its signature verified; then the machine is idle anyway."""

MAX_WAITING_BYTES = 256 * 1024
"""How many bytes may wait for the committer to read them. Beyond that notes are dropped."""


def pack(notes: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A frame that tells of (signed text, signature) pairs, at most MAX_NOTES_PER_FRAME."""
    return framing.pack([part for note in notes for part in note])


class Notes:
    """The edge's side: gathers what was signed, and sends it to the committer."""

    def __init__(self) -> None:
        self._notes: list[tuple[bytes, bytes]] = []

    def add(self, writer: asyncio.StreamWriter, text: bytes, signature: bytes) -> None:
        """Note ``signature`` over ``text``; it is sent soon, together with others."""
        if not self._notes:
            asyncio.get_running_loop().call_later(NOTES_DELAY_S, self._tell, writer)
        self._notes.append((text, signature))

    def _tell(self, writer: asyncio.StreamWriter) -> None:
        """Send what was signed since the last time. If the committer does not read, drop it: it verifies these then."""
        notes, self._notes = self._notes, []
        if writer.is_closing() or writer.transport.get_write_buffer_size() > MAX_WAITING_BYTES:
            return
        for start in range(0, len(notes), MAX_NOTES_PER_FRAME):
            writer.write(framing.frame(pack(notes[start : start + MAX_NOTES_PER_FRAME])))


class OwnSignatures:
    """The committer's side: what was signed with the key of ``certificate``. One thread adds, any thread may ask."""

    def __init__(self, certificate: Certificate, *, max_kept: int = MAX_KEPT) -> None:
        self._certificate = certificate
        self._max_kept = max_kept
        # Two generations: when the recent one is full it becomes the earlier one. Bounded, without bookkeeping.
        self._recent: dict[bytes, bytes] = {}
        self._earlier: dict[bytes, bytes] = {}

    def add(self, frame: bytes) -> None:
        """Take what :func:`pack` made; :class:`MalformedFrames` for anything else."""
        parts = framing.unpack(frame, max_frames=2 * MAX_NOTES_PER_FRAME)
        if len(self._recent) + len(parts) // 2 > self._max_kept // 2:
            self._earlier, self._recent = self._recent, {}
        self._recent.update(zip(parts[::2], parts[1::2], strict=True))

    def know(self, check: SignatureCheck) -> bool:
        """Whether this signature was made here. False says nothing about the signature."""
        signature = self._recent.get(check.data) or self._earlier.get(check.data)
        return signature is not None and signature == check.signature and check.certificate == self._certificate

    def sparing(self, verify_many: VerifyMany) -> VerifyMany:
        """A ``verify_many`` that verifies all signatures but those made here."""

        def verify_others(checks: Sequence[SignatureCheck]) -> list[bool]:
            known = [self.know(check) for check in checks]
            outcomes = iter(verify_many([check for check, mine in zip(checks, known, strict=True) if not mine]))
            return [mine or next(outcomes) for mine in known]

        return verify_others
