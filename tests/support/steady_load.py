"""A steady load of small transactions, and what became of each of them."""

from __future__ import annotations

import asyncio
import heapq
import statistics
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from gridledger.client.errors import TransactionError
from gridledger.client.gateway import Contract
from gridledger.client.retry import Retry
from gridledger.errors import GridLedgerError
from gridledger.protocol.codes import TxValidationCode as Code
from tests.support.local_network import LocalNetwork

BUSY_S = 10.0
"""How long a client goes on following the Retry-After of a gateway that is busy."""

PATIENT = Retry(attempts=1000, total_s=BUSY_S, conflicts=False)
"""Waits for a busy gateway, and makes no transaction anew."""

VALUE = {"voltage": [1.0 + number / 1000 for number in range(40)], "note": "x" * 500}
"""About as much as a frame for ComputeVSI: 1 KB."""


@dataclass(frozen=True, slots=True)
class Source:
    """One client: its gateway's peer, the channel that it writes to, how often a second."""

    peer: str
    channel: str
    rate: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """One transaction. ``at_s`` is when it was meant to be sent, from the load's begin.

    ``code`` is VALID or why it is not, ``why`` says so in words.
    """

    source: Source
    key: str
    at_s: float
    took_s: float
    code: str
    status: int
    tx_id: str
    why: str

    @property
    def ended_s(self) -> float:
        """When it was answered, from the load's begin."""
        return self.at_s + self.took_s


class Load:
    """A load that runs, for ``lasts_s`` seconds, which may be moved on meanwhile. Made by :func:`running_load`."""

    def __init__(self, contracts: Mapping[Source, Contract], seconds: float, name: str) -> None:
        self.outcomes: list[Outcome] = []
        self._contracts = contracts
        self.lasts_s = seconds
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    @property
    def now_s(self) -> float:
        """Since when the load runs, in seconds."""
        return self._loop.time() - self._began

    async def at(self, second: float) -> None:
        """Wait until the load has run this long."""
        await asyncio.sleep(max(0.0, self._began + second - self._loop.time()))

    async def run(self) -> None:
        """Send at the rates that were asked for, however long answers take; returns when all have come."""
        sources = list(self._contracts)
        moments = heapq.merge(*(self._moments(index, source) for index, source in enumerate(sources)))
        async with asyncio.TaskGroup() as tasks:
            for at_s, index, number in moments:
                await self.at(at_s)
                tasks.create_task(self._one(sources[index], at_s, f"{self._name}-{index}-{number}"))

    def _moments(self, index: int, source: Source) -> Iterator[tuple[float, int, int]]:
        """When a source sends which of its transactions; goes on while ``lasts_s`` is moved on."""
        number = 0
        while (at_s := number / source.rate) < self.lasts_s:
            yield at_s, index, number
            number += 1

    async def _one(self, source: Source, at_s: float, key: str) -> None:
        code, status, tx_id, why = "VALID", 200, "", ""
        try:
            _, verdict = await self._contracts[source].submit_with_status("put", key, VALUE)
            tx_id = verdict.tx_id
        except TransactionError as error:
            code, status, tx_id, why = error.code, error.status, error.tx_id, f"{error} {error.details}"
        except GridLedgerError as error:
            code, status, why = error.code, error.status, str(error)
        took_s = self.now_s - at_s
        self.outcomes.append(Outcome(source, key, at_s, took_s, code, status, tx_id, why))

    def of(self, source: Source, from_s: float = 0.0, to_s: float = float("inf")) -> list[Outcome]:
        """What one source's transactions came to, of those that were meant for this span of time."""
        return [item for item in self.outcomes if item.source == source and from_s <= item.at_s < to_s]

    def report(self) -> str:
        """Codes and latencies, source by source, for people."""
        lines = []
        for source in self._contracts:
            mine = self.of(source)
            took = sorted(item.took_s for item in mine)
            lines.append(
                f"{source.peer} {source.channel}: {codes(mine)}, p50 {statistics.median(took) * 1000:.0f} ms, "
                f"p99 {took[len(took) * 99 // 100] * 1000:.0f} ms, worst {took[-1] * 1000:.0f} ms"
            )
            failed = [item for item in mine if item.code != "VALID"]
            lines.extend(f"  at {item.at_s:.2f} s: {item.why}" for item in failed[:2] + failed[-2:])
        return "\n".join(lines)

    async def nothing_lost(self, network: LocalNetwork) -> None:
        """Wait until all ledgers agree; what was acknowledged is on every peer, valid and once."""
        for channel in sorted({source.channel for source in self._contracts}):
            await network.agree(channel)
            acknowledged = [item for item in self.outcomes if item.code == "VALID" and item.source.channel == channel]
            for peer in network.profile.channels[channel].peers:
                found = await network.verdicts(peer, channel)
                missing = [item.key for item in acknowledged if Code.VALID not in found.get(item.tx_id, [])]
                assert not missing, f"{len(missing)} acknowledged transactions are not on {peer}: {missing[:5]}"
                twice = [tx_id for tx_id, verdicts in found.items() if verdicts.count(Code.VALID) > 1]
                assert not twice, f"{peer} took transactions twice: {twice[:5]}"
            sample = acknowledged[:: max(1, len(acknowledged) // 20)]
            async with network.gateway(network.profile.channels[channel].peers[-1]) as gateway:
                contract = gateway.get_network(channel).get_contract("kv")
                for item in sample:
                    assert await contract.evaluate_transaction("get", item.key) == VALUE


@asynccontextmanager
async def running_load(
    network: LocalNetwork, sources: Sequence[Source], *, seconds: float, name: str
) -> AsyncIterator[Load]:
    """A load that begins now. The block may do what it likes meanwhile; at its end the load has ended too."""
    async with AsyncExitStack() as stack:
        contracts = {}
        for source in sources:
            connected = network.gateway(source.peer, max_connections=512, retry=PATIENT)
            gateway = await stack.enter_async_context(connected)
            contracts[source] = gateway.get_network(source.channel).get_contract("kv")
            await contracts[source].submit_transaction("put", f"{name}-before", 1)
        load = Load(contracts, seconds, name)
        running = asyncio.create_task(load.run())
        try:
            yield load
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            if load.outcomes:
                print(load.report())


def codes(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """How often each code."""
    return dict(Counter(item.code for item in outcomes))
