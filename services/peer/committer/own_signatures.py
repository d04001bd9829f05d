"""What this peer has signed itself: told by the edge, which signs, to the committer, which then need not verify it.

A verification tells whether a signature was made with a certain key. Of the endorsements that the edge has made the
committer knows that: they were made with its own key, by the process that started it, over the socket that nobody else
holds. All other signatures are verified, and all of them where a ledger is verified as a whole. What the committer was
not told (after a restart, beyond the bounds) is verified like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gridledger import framing
from gridledger.identity.certificate import Certificate
from gridledger.ledger.validation import SignatureCheck, VerifyMany

MAX_KEPT = 16_384
"""How many endorsements the committer keeps in mind: about 8 MB. One that is not ordered soon is forgotten."""

MAX_NOTES_PER_FRAME = 4096
MAX_FRAME_BYTES = 4 * 1024 * 1024

NOTES_DELAY_S = 0.02
"""How long notes gather before the committer is told, so that it is not woken for each. Where a transaction is
committed sooner the machine is idle, and its committer may as well verify."""

MAX_WAITING_BYTES = 256 * 1024
"""What may wait for the committer to read it; beyond that it is not told what this peer has signed."""


def pack(notes: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A frame that tells of (signed text, signature) pairs, at most MAX_NOTES_PER_FRAME."""
    return framing.pack([part for note in notes for part in note])


class Notes:
    """The edge's side: gathers what was signed, and tells the committer of it every now and then."""

    def __init__(self) -> None:
        self._notes: list[tuple[bytes, bytes]] = []

    def add(self, writer: asyncio.StreamWriter, text: bytes, signature: bytes) -> None:
        """Tell of ``signature`` over ``text``, soon, together with others."""
        if not self._notes:
            asyncio.get_running_loop().call_later(NOTES_DELAY_S, self._tell, writer)
        self._notes.append((text, signature))

    def _tell(self, writer: asyncio.StreamWriter) -> None:
        """Tell of all that was signed since the last time; or of nothing, when the committer does not listen. It then
        verifies these like any other signature."""
        notes, self._notes = self._notes, []
        if writer.is_closing() or writer.transport.get_write_buffer_size() > MAX_WAITING_BYTES:
            return
        for start in range(0, len(notes), MAX_NOTES_PER_FRAME):
            writer.write(framing.frame(pack(notes[start : start + MAX_NOTES_PER_FRAME])))


class OwnSignatures:
    """The committer's memory of what was signed with the key of ``certificate``. One thread adds, any may ask."""

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
        """Whether this very signature was made here; False says nothing about it."""
        signature = self._recent.get(check.data) or self._earlier.get(check.data)
        return signature is not None and signature == check.signature and check.certificate == self._certificate

    def sparing(self, verify_many: VerifyMany) -> VerifyMany:
        """``verify_many`` for all signatures but those that were made here."""

        def verify_others(checks: Sequence[SignatureCheck]) -> list[bool]:
            known = [self.know(check) for check in checks]
            outcomes = iter(verify_many([check for check, mine in zip(checks, known, strict=True) if not mine]))
            return [mine or next(outcomes) for mine in known]

        return verify_others
