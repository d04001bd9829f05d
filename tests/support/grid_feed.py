"""Frames of one group on a running network, sent as by its aggregator: the examples of the specification."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from gridledger.client import connect
from gridledger.client.profile import ConnectionProfile
from gridledger.network.users import enroll_user
from tests.support.dvs_channel import example
from tests.support.grid_blocks import at

CHANNEL, GROUP = "shard1", "1"
INTERVAL_S = 0.2
CALM, SAG = "frame-1-base", "frame-1-s1_before"


class GridFeed:
    """Sends a frame every ``INTERVAL_S``. ``frame`` names which one; ``sent`` are the answers."""

    def __init__(self, profile: ConnectionProfile) -> None:
        self.frame = CALM
        self.sent: list[dict[str, Any]] = []
        self.fault: BaseException | None = None
        self._profile = profile
        self._going, self._ended = Event(), Event()
        self._going.set()

    def stop(self) -> None:
        """Send no more until :meth:`go_on`."""
        self._going.clear()

    def go_on(self) -> None:
        """Send again."""
        self._going.set()

    def run(self) -> None:
        """Until :meth:`end`."""
        try:
            asyncio.run(self._run())
        except BaseException as error:
            self.fault = error
            raise

    def end(self) -> None:
        """Send nothing any more."""
        self._ended.set()

    async def _run(self) -> None:
        attributes = {"grid.role": "planner"}, {"grid.role": "aggregator", "grid.group": GROUP}
        users = [
            await enroll_user(self._profile, "Org1", name, "client", told)
            for name, told in zip(("planner", "aggregator"), attributes, strict=True)
        ]
        async with await connect(self._profile, identity=users[0]) as gateway:
            contract = gateway.get_network(CHANNEL).get_contract("dvs")
            await contract.submit_transaction("InitialGrouping", example("record-1-corrected"))
        async with await connect(self._profile, identity=users[1]) as gateway:
            contract = gateway.get_network(CHANNEL).get_contract("dvs")
            await contract.submit_transaction("UpdateResources", {"group": GROUP, "vvc": {"3": 1.5}})
            while not self._ended.is_set():
                if self._going.is_set():
                    frame = at(example(self.frame), time.time_ns() // 1000)
                    self.sent.append(await contract.submit_transaction("ComputeVSI", frame))
                await asyncio.sleep(INTERVAL_S)


@contextmanager
def grid_feed(profile: ConnectionProfile) -> Iterator[GridFeed]:
    """A feed that sends calm frames, until the block ends."""
    feed = GridFeed(profile)
    thread = Thread(target=feed.run)
    thread.start()
    try:
        yield feed
    finally:
        feed.end()
        thread.join(30)
