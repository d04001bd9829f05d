"""A peer whose orderer commits what it is sent, for the tests of submission and of the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import Random

from gridledger import framing, jsontext
from gridledger.errors import UnavailableError
from gridledger.protocol.transaction import Transaction
from services.peer.channel import Channel, Channels
from services.peer.gateway.commit_notifier import CommitNotifier
from services.peer.gateway.endorsed_here import EndorsedHere
from services.peer.gateway.ordering_queue import OrderingQueue
from services.peer.gateway.submission import Submitter
from services.peer.settings import OrderingLimits
from tests.support.paper import NOW_US, PaperNetwork, PaperPeer


class OrderingHouse:
    """A submitter over a real ledger. The orderer commits on this peer and acknowledges, as the test lets it."""

    def __init__(self, folder: Path, commit_timeout_s: float = 10.0) -> None:
        self.paper = PaperNetwork()
        self.peer = PaperPeer(folder, self.paper)
        self.channel = Channel(self.peer.ledger)
        self.channels = Channels({self.paper.channel: self.channel})
        self.caller = self.paper.identity(self.paper.client)
        self.ordered: list[list[bytes]] = []
        self.commits = True
        self.acknowledges = True
        self.notifier = CommitNotifier(lambda _, tx_id: self.channel.status(tx_id), max_waiters=10)
        self.queue = OrderingQueue(
            self.paper.channel,
            self.orderers,
            self.send,
            OrderingLimits(backoff_initial_s=0.001, backoff_max_s=0.002, timeout_s=2),
            clock=asyncio.get_running_loop().time,
            random=Random(1),
        )
        self.endorsed_here = EndorsedHere()
        self.submitter = Submitter(
            self.channels,
            {self.paper.channel: self.queue},
            self.notifier,
            self.endorsed_here,
            clock_us=lambda: NOW_US,
            commit_timeout_s=commit_timeout_s,
        )

    def transaction(self, value: object = 1) -> Transaction:
        """A transaction that writes a key, valid and different from every other."""
        return self.paper.transaction({"k": value})

    def orderers(self) -> Sequence[str]:
        return ["o1"]

    async def send(self, orderer: str, body: bytes, timeout_s: float) -> bytes:
        envelopes = framing.unpack(body, max_frames=500)
        self.ordered.append(envelopes)
        await asyncio.sleep(0)
        if self.commits:
            self.commit(*envelopes)
        if not self.acknowledges:
            raise UnavailableError("the answer was lost", code="CONNECTION_FAILED")
        return jsontext.dumps({"results": [{"status": 200}] * len(envelopes)})

    def commit(self, *envelopes: Transaction | bytes) -> None:
        """Commit a block of these, and tell the channel and those who wait."""
        block = self.peer.commit(*envelopes)
        self.channel.committed(block)
        self.notifier.committed(block)
