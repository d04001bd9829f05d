"""Runs inside a container of the network: puts under load and counts what was acknowledged, or looks for it later.

``write CHANNEL`` submits until standard input ends, through all peers of the channel in turn, and prints one JSON
object: the keys whose commit was acknowledged, what failed, by code, and the longest time without an acknowledgement.
``read CHANNEL`` takes such keys on standard input and prints, by peer, how many it does not have.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from pathlib import Path

from gridledger.client import Gateway
from gridledger.errors import GridLedgerError
from gridledger.network.connection import ConnectionProfile, load_connection
from gridledger.network.users import enroll_user

WRITERS = 8
PACE_S = 0.02
READERS = 32


async def gateways(profile: ConnectionProfile, channel: str) -> dict[str, Gateway]:
    """One to each peer of the channel, as a client of the first one's organisation."""
    names = profile.channels[channel].peers
    organisation = profile.peers[names[0]].organisation
    client = await enroll_user(profile, organisation, "docker-test", "client", {})
    return {name: Gateway.connect(profile.peers[name].url, client, roots=profile.roots) for name in names}


async def write(profile: ConnectionProfile, channel: str) -> None:
    """Submit until standard input ends."""
    opened = await gateways(profile, channel)
    turns = itertools.cycle(opened.values())
    run = time.time_ns()
    acknowledged: list[str] = []
    failed: Counter[str] = Counter()
    stop = asyncio.Event()
    last = time.monotonic()
    longest = 0.0

    async def writer(number: int) -> None:
        nonlocal last, longest
        for count in itertools.count():
            if stop.is_set():
                return
            key = f"docker/{run}/{number}/{count:06d}"
            try:
                contract = next(turns).get_network(channel).get_contract("kv")
                async with asyncio.timeout(20):
                    await contract.submit_transaction("put", key, count)
            except GridLedgerError as error:
                failed[error.code] += 1
            except TimeoutError:
                failed["NO_ANSWER"] += 1
            else:
                acknowledged.append(key)
                longest = max(longest, time.monotonic() - last)
                last = time.monotonic()
            await asyncio.sleep(PACE_S)

    async with asyncio.TaskGroup() as tasks:
        for number in range(WRITERS):
            tasks.create_task(writer(number))
        await asyncio.to_thread(sys.stdin.read)
        stop.set()
    for gateway in opened.values():
        await gateway.close()
    print(json.dumps({"acknowledged": acknowledged, "failed": failed, "longest_gap_s": longest}))


async def read(profile: ConnectionProfile, channel: str) -> None:
    """Ask every peer for every key."""
    keys = json.load(sys.stdin)
    missing: Counter[str] = Counter()
    limit = asyncio.Semaphore(READERS)

    async def ask(name: str, gateway: Gateway, key: str) -> None:
        async with limit:
            value = await gateway.get_network(channel).get_contract("kv").evaluate_transaction("get", key)
            missing[name] += value is None

    opened = await gateways(profile, channel)
    async with asyncio.TaskGroup() as tasks:
        for name, gateway in opened.items():
            for key in keys:
                tasks.create_task(ask(name, gateway, key))
    for gateway in opened.values():
        await gateway.close()
    print(json.dumps(missing))


if __name__ == "__main__":
    what = {"write": write, "read": read}[sys.argv[1]]
    asyncio.run(what(load_connection(Path("/network")), sys.argv[2]))
