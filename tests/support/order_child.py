"""Orders envelopes by a real orderer, alone on its channel and without an HTTP edge, until it is killed:
``python -m tests.support.order_child FOLDER NAME BEGIN``.

Prints one line with the envelopes that its chain holds after a start (their numbers, and the last block's hash), then
each envelope's number as soon as it is acknowledged, from BEGIN on.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from services.orderer.opening import open_orderer
from services.orderer.orderer import Channel, Orderer
from services.orderer.sequencer import BroadcastReceipt
from services.orderer.settings import OrdererSettings, RaftTiming

CHANNEL = "shard1"
BATCHES = (1, 1, 2, 7)


def settings_of(folder: Path, name: str) -> OrdererSettings:
    """The orderer's settings: small segments and many snapshots, so that all files are begun and dropped often."""
    return OrdererSettings(
        name=name,
        port=1,
        data=folder / "data",
        mspid="OrdererMSP",
        identity=folder / name,
        genesis=folder,
        roots=folder / "roots.pem",
        channels=[CHANNEL],
        raft=RaftTiming(snapshot_entries=15, trailing_entries=5, segment_bytes=16_384),
    )


async def main(folder: Path, name: str, begin: int) -> None:
    """Order until killed."""
    async with open_orderer(
        settings_of(folder, name), clock_us=lambda: time.time_ns() // 1000, random=Random()
    ) as orderer:
        running = asyncio.create_task(orderer.run())
        channel = orderer.channels[CHANNEL]
        await _lead(orderer, running)
        print(" ".join([channel.chain.last_header.hash, *_numbers(channel)]), flush=True)
        chance = Random(begin)
        while True:
            count = chance.choice(BATCHES)
            await _order(channel, range(begin, begin + count))
            print("".join(f"{number}\n" for number in range(begin, begin + count)), end="", flush=True)
            begin += count


async def _lead(orderer: Orderer, running: asyncio.Task[None]) -> None:
    """Until it leads and has applied all that its log holds."""
    while not (orderer.consensus.leadership(CHANNEL).is_self and orderer.consensus.leadership(CHANNEL).ready):
        if running.done():
            running.result()
        await asyncio.sleep(0.005)


async def _order(channel: Channel, numbers: Sequence[int]) -> None:
    receipt = BroadcastReceipt()
    for place, number in enumerate(numbers):
        channel.sequencer.submit(b"envelope %d " % number + b"." * (number * 37 % 500), receipt, place)
    await receipt.wait()
    for error in receipt.errors.values():
        raise error


def _numbers(channel: Channel) -> list[str]:
    store = channel.chain.store
    blocks = (store.block(number) for number in range(1, store.height))
    return [envelope.split()[1].decode() for block in blocks for envelope in block.envelopes]


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
