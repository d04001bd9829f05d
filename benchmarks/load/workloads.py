"""The workloads: how one transaction of a stream is made, and how an engine sends a workload's streams.

put              kv: writes a value of a given size under a key of its own.
read-write       kv: reads a number and writes it back one larger, in one transaction; the keys are chosen at random
                 from a bounded set, so that some transactions conflict.
query            dvs: reads a group's record; evaluated on one peer, not ordered.
ComputeVSI       dvs: a frame of a group of case30 that raises no alarm; each frame has a time of its own.
LocalController  dvs: a frame that raises an alarm and is answered by an injection in the same transaction. An injection
                 reads and writes its group's VVC list, so two at a time in one group would conflict. Therefore there
                 are many groups, and each has an aggregator that sends its next frame after the verdict on its last. A
                 frame that is due while all groups are taken waits, and its latency counts from when it was due.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from benchmarks.load.plan import LoadStream
from gridledger import jsontext
from gridledger.client import Gateway

Send = Callable[[int], Awaitable[Any]]
"""Sends the transaction of a given number."""
Connect = Callable[[LoadStream], Gateway]


class Workload:
    """The streams of one workload as engine ``index`` of ``count`` sends them."""

    def __init__(self, streams: Sequence[LoadStream], connect: Connect, *, index: int, count: int) -> None:
        self.readonly = streams[0].readonly
        exclusive = streams[0].exclusive
        # Each engine has exclusive streams of its own. The others are everyone's, and each engine begins elsewhere.
        place = index * len(streams) // count
        mine = streams[index::count] if exclusive else [*streams[place:], *streams[:place]]
        if not mine:
            raise ValueError(f"{count} engines are too many for {len(streams)} exclusive streams")
        senders = [sender_of(connect(stream), stream, f"{index}-{place}") for place, stream in enumerate(mine)]
        self._turns = itertools.cycle(senders)
        self._free: asyncio.Queue[Send] | None = None
        if exclusive:
            self._free = asyncio.Queue()
            for send in senders:
                self._free.put_nowait(send)

    async def send(self, number: int) -> None:
        """Send one transaction. No other transaction may have the same ``number``."""
        if self._free is None:
            await next(self._turns)(number)
            return
        send = await self._free.get()
        try:
            await send(number)
        finally:
            self._free.put_nowait(send)


def sender_of(gateway: Gateway, stream: LoadStream, seed: str = "") -> Send:
    """The function that sends a stream's transactions."""
    contract = gateway.get_network(stream.channel).get_contract(stream.chaincode)
    send = contract.evaluate_transaction if stream.readonly else contract.submit_transaction
    arguments = arguments_of(stream, seed)
    return lambda number: send(stream.function, *arguments(number))


def arguments_of(stream: LoadStream, seed: str = "") -> Callable[[int], Sequence[Any]]:
    """The function that makes the arguments of the transaction of a given number."""
    argument = stream.argument
    if stream.function == "put":
        value = "x" * int(argument["bytes"])
        return lambda number: (f"bench/{number}", value)
    if stream.function == "add":
        generator, keys = random.Random(seed), int(argument["keys"])  # noqa: S311 - any key will do
        return lambda _number: (f"counter/{generator.randrange(keys)}", 1)
    if stream.function == "ComputeVSI":
        begin = int(argument["time"])
        return lambda number: ({**argument, "time": begin + number},)
    return lambda _number: (argument,)


def payload_bytes(streams: Sequence[LoadStream]) -> float:
    """Mean bytes of a transaction's arguments."""
    return sum(len(jsontext.dumps(list(arguments_of(stream)(10**12)))) for stream in streams) / len(streams)
