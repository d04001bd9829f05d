"""What is sent: a workload is a number of streams, and this is how one transaction of a stream is made.

put              kv: a value of so many bytes under a key of its own.
read-write       kv: reads a number and writes it back one larger, in one transaction; keys by chance from a bounded
                 space, so that some conflict.
query            dvs: a group's record, evaluated on one peer, not ordered.
ComputeVSI       dvs: a quiet frame of a group of case30 (no alarm), each with a time of its own.
LocalController  dvs: a frame that alarms and is answered by an injection in the same transaction. Every group has one
                 VVC list, which each injection reads and writes: of two at a time one would be invalid. So there are
                 many groups, each with an aggregator of its own, which sends the next frame when it has the verdict
                 on its last. A frame that is due while no group is free waits, and its latency counts from when it
                 was due.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from benchmarks.load.plan import Target
from gridledger import jsontext
from gridledger.client import Gateway

Call = Callable[[int], Awaitable[Any]]
Connect = Callable[[Target], Gateway]


class Workload:
    """One workload's streams as one of several engines sends them."""

    def __init__(self, targets: Sequence[Target], connect: Connect, *, index: int, count: int) -> None:
        self.readonly = targets[0].readonly
        exclusive = targets[0].exclusive
        # Streams that nobody else may use are dealt out; the others everybody uses, each beginning elsewhere.
        place = index * len(targets) // count
        mine = targets[index::count] if exclusive else [*targets[place:], *targets[:place]]
        if not mine:
            raise ValueError(f"{count} engines are too many for {len(targets)} streams that only one may use")
        calls = [call_of(connect(target), target, f"{index}-{place}") for place, target in enumerate(mine)]
        self._turns = itertools.cycle(calls)
        self._free: asyncio.Queue[Call] | None = None
        if exclusive:
            self._free = asyncio.Queue()
            for call in calls:
                self._free.put_nowait(call)

    async def send(self, number: int) -> None:
        """One transaction; ``number`` is no other's."""
        if self._free is None:
            await next(self._turns)(number)
            return
        call = await self._free.get()
        try:
            await call(number)
        finally:
            self._free.put_nowait(call)


def call_of(gateway: Gateway, target: Target, seed: str = "") -> Call:
    """What sends a target's transaction of a number."""
    contract = gateway.get_network(target.channel).get_contract(target.chaincode)
    send = contract.evaluate_transaction if target.readonly else contract.submit_transaction
    arguments = arguments_of(target, seed)
    return lambda number: send(target.function, *arguments(number))


def arguments_of(target: Target, seed: str = "") -> Callable[[int], Sequence[Any]]:
    """What makes the arguments of a transaction of a number."""
    argument = target.argument
    if target.function == "put":
        value = "x" * int(argument["bytes"])
        return lambda number: (f"bench/{number}", value)
    if target.function == "add":
        chance, keys = random.Random(seed), int(argument["keys"])  # noqa: S311 - which key it is matters to nobody
        return lambda _number: (f"counter/{chance.randrange(keys)}", 1)
    if target.function == "ComputeVSI":
        begin = int(argument["time"])
        return lambda number: ({**argument, "time": begin + number},)
    return lambda _number: (argument,)


def payload_bytes(targets: Sequence[Target]) -> float:
    """Mean bytes of a transaction's arguments."""
    return sum(len(jsontext.dumps(list(arguments_of(target)(10**12)))) for target in targets) / len(targets)
