"""Runs inside a container of the network: puts under load and counts what was acknowledged, or looks for it later.

``write CHANNEL`` submits until standard input ends, through all peers of the channel in turn, and prints one JSON
object: the keys whose commit was acknowledged, what failed, by code, and the times without an acknowledgement (since
when, how long). ``read CHANNEL`` takes such keys on standard input and prints, by peer, how many it does not have.
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
from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.errors import GridLedgerError
from gridledger.network.users import enroll_user

WRITERS = 8
PACE_S = 0.1
GAP_S = 0.5


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
    last = time.time()
    gaps: list[tuple[float, float]] = []

    async def writer(number: int) -> None:
        nonlocal last
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
                now = time.time()
                if now - last > GAP_S:
                    gaps.append((last, now - last))
                last = now
            await asyncio.sleep(PACE_S)

    async with asyncio.TaskGroup() as tasks:
        for number in range(WRITERS):
            tasks.create_task(writer(number))
        await asyncio.to_thread(sys.stdin.read)
        stop.set()
    for gateway in opened.values():
        await gateway.close()
    print(json.dumps({"acknowledged": acknowledged, "failed": failed, "gaps": gaps}))


async def read(profile: ConnectionProfile, channel: str) -> None:
    """Ask every peer for all keys, a page at a time."""
    keys = sorted(json.load(sys.stdin))
    missing: dict[str, int] = {}

    async def ask(name: str, gateway: Gateway) -> None:
        contract = gateway.get_network(channel).get_contract("kv")
        found: set[str] = set()
        start, end = keys[0], keys[-1] + "0"
        while page := await contract.evaluate_transaction("range", start, end):
            found.update(key for key, _ in page)
            start = page[-1][0] + "0"
        missing[name] = len(set(keys) - found)

    opened = await gateways(profile, channel)
    async with asyncio.TaskGroup() as tasks:
        for name, gateway in opened.items():
            tasks.create_task(ask(name, gateway))
    for gateway in opened.values():
        await gateway.close()
    print(json.dumps(missing))


if __name__ == "__main__":
    what = {"write": write, "read": read}[sys.argv[1]]
    asyncio.run(what(load_profile(Path("/network")), sys.argv[2]))
