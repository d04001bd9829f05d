"""The signatures of other orderers under blocks that this one must not sign, since the channel did not name it then.

A joining orderer derives the blocks before its own configuration from the log, and one that departs those after: its
own signature under them nobody may take. So it keeps the one under which another orderer serves the block, and who is
late can verify old blocks at any orderer, where all orderers of then are gone too.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from gridledger.errors import CorruptionError, GridLedgerError
from gridledger.protocol import Block, HeaderSignature
from gridledger.protocol.block import SignedBlock
from services.orderer.catching_up import FetchBlocks

_log = logging.getLogger(__name__)


class OtherSignatures:
    """Fetches them, as many blocks at a time as are asked for. One task uses it."""

    def __init__(self, channel: str, fetch: FetchBlocks) -> None:
        self._channel = channel
        self._fetch = fetch
        self._fetched: deque[bytes] = deque()
        self._next = 0
        self._source = ""
        self._refused: set[str] = set()

    async def find(self, block: Block, most: int, check: Callable[[bytes], SignedBlock]) -> HeaderSignature | None:
        """The signature under which another orderer has this block; None where nobody who is asked now does.

        ``most`` blocks will be asked for, this one and those behind it. ``check`` reads a record, and raises unless the
        block in it follows and an orderer of the channel has signed it.
        """
        number = block.header.number
        if number != self._next:
            self._fetched.clear()  # those were of blocks that this orderer signed by itself in the end
        self._next = number + 1
        while True:
            if not self._fetched:
                found = await self._fetch(
                    self._channel, number, number + most, frozenset(self._refused), only_once=True
                )
                if not found.records:
                    self._refused.clear()
                    return None
                self._source, self._fetched = found.source, deque(found.records[:most])
            try:
                signed = check(self._fetched.popleft())
                if signed.block.header.hash != block.header.hash:
                    raise CorruptionError(f"block {number} is another one there than here")
            except GridLedgerError as error:
                said = "%s serves what does not fit and is left out: %s"
                _log.error(said, self._source, error, extra={"channel": self._channel})
                self._refused.add(self._source)
                self._fetched.clear()
                continue
            return signed.signature
