"""A steady load of small transactions, what became of each of them, and the history of what clients were told."""

from __future__ import annotations

import asyncio
import heapq
import statistics
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from gridledger.client.errors import CommitError, CommitStatusError, EndorseError, SubmitError, TransactionError
from gridledger.client.gateway import Contract
from gridledger.client.retry import Retry
from gridledger.errors import GridLedgerError
from tests.support.history import VALID, History, Kind, Operation
from tests.support.history import Outcome as Told
from tests.support.local_network import LocalNetwork

BUSY_S = 10.0
"""How long a client goes on following the Retry-After of a gateway that is busy."""

PATIENT = Retry(attempts=1000, total_s=BUSY_S, conflicts=False)
"""Waits for a busy gateway, and makes no transaction anew."""

SHARED_EVERY = 5
"""To so many transactions of a source one more writes a key that many write, acknowledged as soon as it is ordered, and
then reads it. These are in the history, and not among the outcomes."""

SHARED_KEYS = 3

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
        self.history = History()
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
                if number % SHARED_EVERY == 0:
                    key = f"{self._name}-shared-{number // SHARED_EVERY % SHARED_KEYS}"
                    tasks.create_task(self._share(sources[index], key, f"{index}-{number}"))

    def _moments(self, index: int, source: Source) -> Iterator[tuple[float, int, int]]:
        """When a source sends which of its transactions; goes on while ``lasts_s`` is moved on."""
        number = 0
        while (at_s := number / source.rate) < self.lasts_s:
            yield at_s, index, number
            number += 1

    async def _one(self, source: Source, at_s: float, key: str) -> None:
        code, status, tx_id, why = "VALID", 200, "", ""
        began_s = self.now_s
        try:
            _, verdict = await self._contracts[source].submit_with_status("put", key, VALUE)
            tx_id = verdict.tx_id
            self._note(source, Kind.COMMIT, began_s, Told.DONE, tx_id=tx_id, code=VALID)
        except TransactionError as error:
            code, status, tx_id, why = error.code, error.status, error.tx_id, f"{error} {error.details}"
            self._note_failure(source, Kind.COMMIT, began_s, error)
        except GridLedgerError as error:
            code, status, why = error.code, error.status, str(error)
        took_s = self.now_s - at_s
        self.outcomes.append(Outcome(source, key, at_s, took_s, code, status, tx_id, why))

    async def _share(self, source: Source, key: str, value: str) -> None:
        """Write a key that others write as well, without waiting for the commit, and read it."""
        contract, began_s = self._contracts[source], self.now_s
        try:
            transaction = await (await contract.new_proposal("put", key, value)).endorse()
            await transaction.submit()
            self._note(source, Kind.ORDER, began_s, Told.DONE, tx_id=transaction.tx_id, key=key, value=value)
        except TransactionError as error:
            self._note_failure(source, Kind.ORDER, began_s, error, key=key, value=value)
        except GridLedgerError:
            return  # before there was a transaction
        began_s = self.now_s
        with suppress(GridLedgerError):
            found = await contract.evaluate_transaction("get", key)
            self._note(source, Kind.READ, began_s, Told.DONE, key=key, value=found)

    def _note_failure(self, source: Source, kind: Kind, began_s: float, error: TransactionError, **more: Any) -> None:
        """What an error of a transaction's tells of it."""
        told, code = Told.UNKNOWN, ""
        if isinstance(error, CommitError):
            told, code = Told.DONE, error.validation_code.name
        elif isinstance(error, CommitStatusError):
            kind, told = Kind.ORDER, Told.DONE
        elif isinstance(error, EndorseError) or (
            isinstance(error, SubmitError) and error.details.get("outcome") == "not ordered"
        ):
            told = Told.REFUSED
        self._note(source, kind, began_s, told, tx_id=error.tx_id, code=code, **more)

    def _note(self, source: Source, kind: Kind, began_s: float, told: Told, **more: Any) -> None:
        operation = Operation(kind, source.peer, source.channel, began_s, self.now_s, told, **more)
        self.history.operations.append(operation)

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
        """Wait until all ledgers agree; what was acknowledged is on every peer, valid and once; the history holds."""
        for channel in sorted({source.channel for source in self._contracts}):
            await network.agree(channel)
            acknowledged = [item for item in self.outcomes if item.code == "VALID" and item.source.channel == channel]
            peers = network.profile.channels[channel].peers
            chains = {peer: await network.chain(peer, channel) for peer in peers}
            faults = self.history.check(channel, chains)
            assert not faults, f"{len(faults)} faults in the history of {channel}: {faults[:5]}"
            for peer, chain in chains.items():
                found: dict[str, list[str]] = {}
                for tx_id, code in chain:
                    found.setdefault(tx_id, []).append(code)
                missing = [item.key for item in acknowledged if VALID not in found.get(item.tx_id, [])]
                assert not missing, f"{len(missing)} acknowledged transactions are not on {peer}: {missing[:5]}"
                twice = [tx_id for tx_id, verdicts in found.items() if verdicts.count(VALID) > 1]
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
