"""Peers whose answers a test decides, and the collector that asks them for endorsements."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from gridledger.errors import GridLedgerError, TimeoutExceeded, UnavailableError
from gridledger.ledger.validation import SignatureCheck
from gridledger.protocol.config import ChannelConfig, Node
from gridledger.protocol.result import EndorsedResult, Read, Response, Version
from services.peer.endorser.endorser import AdmittedProposal, ProposalResponse
from services.peer.errors import ChaincodeRefused
from services.peer.gateway.endorsement import Collector
from services.peer.gateway.peer_health import PeerHealth
from services.peer.gateway.selection import Selection
from services.peer.settings import EndorsementLimits
from tests.support.paper import PaperNetwork

Behaviour = Callable[[int], Awaitable[ProposalResponse]]


class FakeChannel:
    """The parts of a channel that collecting looks at."""

    def __init__(self, config: ChannelConfig, height: int = 10) -> None:
        self.name = config.channel
        self.config = config
        self.height = height


class Peers:
    """Peers that answer as the test says; by default all alike, at height 10. Nobody is slow, on any machine, but in a
    test that says so."""

    def __init__(self, count: int, policy: str, own: str = "peer1", **limits: Any) -> None:
        self.paper = PaperNetwork(organisations=count, policy=policy)
        self.config = self.paper.config
        self.signed = self.paper.signed_proposal("put", "k", 1)
        self.calls: list[tuple[str, int]] = []
        self.behaviours: dict[str, Behaviour] = {}
        self.cancelled: list[str] = []
        self.probed: list[str] = []
        self.probe_error: GridLedgerError | None = UnavailableError("down")
        settings = EndorsementLimits(**({"hedge_after_s": 5.0, "timeout_s": 5.0, "probe_after_s": 0.05} | limits))
        clock = asyncio.get_running_loop().time
        self.health = PeerHealth(self.probe, settings.probe_after_s, clock=clock)
        self.selection = Selection(own, self.health)
        self.noted: list[SignatureCheck] = []
        self.collector = Collector(self.ask, self.selection, self.health, settings, clock=clock, note=self.note)
        channel: Any = FakeChannel(self.config)
        creator = self.paper.identity(self.paper.client)
        self.proposal = AdmittedProposal(self.signed, channel, self.config.chaincodes["kv"], creator)

    def note(self, channel: str, check: SignatureCheck) -> None:
        assert channel == self.config.channel
        self.noted.append(check)

    async def probe(self, peer: Node) -> None:
        self.probed.append(peer.name)
        if self.probe_error is not None:
            raise self.probe_error

    async def ask(self, peer: Node, proposal: AdmittedProposal, min_height: int, timeout_s: float) -> ProposalResponse:
        self.calls.append((peer.name, min_height))
        behaviour = self.behaviours.get(peer.name)
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.sleep(0)
                return await behaviour(min_height) if behaviour else self.answer(peer.name)
        except TimeoutError:
            raise TimeoutExceeded("no answer") from None
        except asyncio.CancelledError:
            self.cancelled.append(peer.name)
            raise

    async def collect(self, *organisations: str) -> EndorsedResult:
        return await self.collector.collect(self.proposal, organisations or None)

    async def collect_many(self, count: int) -> list[EndorsedResult | BaseException]:
        """The outcomes for a proposal that comes several times at once."""
        return await asyncio.gather(*(self.collect() for _ in range(count)), return_exceptions=True)

    def answer(self, name: str, height: int = 10, *, payload: Any = None, **result: Any) -> ProposalResponse:
        outcome = self.paper.result(self.signed.proposal, response=Response(200, "", payload), **result)
        return ProposalResponse(outcome.text, self.paper.endorsement(name, outcome), height)

    def fails(self, name: str, error: GridLedgerError) -> None:
        async def behaviour(_: int) -> ProposalResponse:
            raise error

        self.behaviours[name] = behaviour

    def hangs(self, name: str) -> None:
        async def behaviour(_: int) -> ProposalResponse:
            await asyncio.Event().wait()
            raise AssertionError

        self.behaviours[name] = behaviour

    def refuses(self, name: str, message: str, height: int = 10, *, until: int = 1000) -> None:
        async def behaviour(min_height: int) -> ProposalResponse:
            if min_height >= until:
                return self.answer(name, min_height)
            raise ChaincodeRefused(message, response={"status": 400, "message": message}, height=height)

        self.behaviours[name] = behaviour

    def lags(self, name: str, height: int) -> None:
        """One block behind until asked for more; what it reads is older."""

        async def behaviour(min_height: int) -> ProposalResponse:
            if min_height > height:
                return self.answer(name, min_height, reads=[Read("k", Version(9, 0))])
            return self.answer(name, height, reads=[Read("k", Version(height - 1, 0))])

        self.behaviours[name] = behaviour

    def reads(self, name: str, version: tuple[int, int] = (9, 0), height: int = 10, **parts: Any) -> None:
        async def behaviour(_: int) -> ProposalResponse:
            return self.answer(name, height, reads=[Read("k", Version(*version))], **parts)

        self.behaviours[name] = behaviour

    @property
    def asked(self) -> list[str]:
        return [name for name, _ in self.calls]
