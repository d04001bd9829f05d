"""Proposals that this gateway had endorsed: read in full then, so that their transactions need not be read again.

Forgetting one costs a reading of its whole envelope, and nothing else.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from gridledger.identity.certificate import Certificate

MAX_KEPT = 10_000


class EndorsedProposal(NamedTuple):
    """What a submission needs to know of its proposal."""

    channel: str
    creator: Certificate
    result_hash: int


class EndorsedHere:
    """The newest ``MAX_KEPT`` proposals by transaction id."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, EndorsedProposal] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def note(self, tx_id: str, channel: str, creator: Certificate, result: str) -> None:
        """A proposal was endorsed, with this result's text."""
        # Python's own hash will do: whoever finds two texts of one hash gets his rubbish into a block, where it is
        # judged like any other, and waits in vain for its status.
        self._kept[tx_id] = EndorsedProposal(channel, creator, hash(result))
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)

    def find(self, tx_id: str, result: str) -> EndorsedProposal | None:
        """The proposal of this transaction, if it was endorsed here with this result."""
        found = self._kept.get(tx_id)
        return found if found is not None and found.result_hash == hash(result) else None
