"""What an orderer answers to a broadcast: a result for each envelope, whatever the others are."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from random import Random

import pytest

from gridledger.effort import Effort
from gridledger.protocol import Block
from services.orderer import routes
from services.orderer.opening import open_orderer
from services.orderer.submission import check_submission
from tests.support.orderer_folder import lone_orderer
from tests.support.paper import NOW_US, PaperNetwork
from tests.support.waiting import eventually


async def test_a_defect_at_one_envelope_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paper = PaperNetwork()
    good, poison = (paper.transaction({"a": n}).to_bytes() for n in range(2))

    def failing(envelope: bytes, *given: object) -> None:
        if envelope == poison:
            raise KeyError("a defect")
        check_submission(envelope, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(routes, "check_submission", failing)
    settings = lone_orderer(tmp_path, paper)
    async with open_orderer(settings, clock_us=lambda: NOW_US, random=Random(1)) as orderer:
        running = asyncio.create_task(orderer.run())
        channel = orderer.channel(paper.channel)

        async def leads() -> bool:
            return channel.chain.leadership is not None and channel.chain.leadership.is_self

        await eventually(leads, within_s=10, what="a leader")
        envelopes = [poison, good, b"{}", paper.transaction({"b": 1}).to_bytes()]
        results = await routes._order_all(orderer, channel, envelopes, paper.identity(paper.client))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [(result["status"], result.get("code")) for result in results] == [
        (500, "INTERNAL"),
        (200, None),
        (400, "MALFORMED_MESSAGE"),
        (200, None),
    ]


async def test_updates_that_no_admin_signed_are_charged_to_who_sends_them(tmp_path: Path) -> None:
    """Each cost a hundred verifications, and whoever sent them owed nothing."""
    paper = PaperNetwork()
    update = paper.update([paper.client] * 100).to_bytes()
    settings = lone_orderer(tmp_path, paper)
    async with open_orderer(settings, clock_us=lambda: NOW_US, random=Random(1)) as orderer:
        orderer.effort = Effort(part=0.001, burst_s=0.0)
        channel, caller = orderer.channel(paper.channel), paper.identity(paper.client)
        results = await routes._order_all(orderer, channel, [update] * 2, caller)
        assert [result.get("code") for result in results] == ["PERMISSION_DENIED", "BUSY"]


async def test_what_is_ordered_waits_for_no_update_that_is_submitted(tmp_path: Path) -> None:
    paper = PaperNetwork()
    let_go = threading.Event()
    async with open_orderer(lone_orderer(tmp_path, paper), clock_us=lambda: NOW_US, random=Random(1)) as orderer:
        submitted = asyncio.create_task(orderer.off_loop(let_go.wait, 20))
        await asyncio.sleep(0)
        chain = orderer.channel(paper.channel).chain
        update = paper.update().to_bytes()
        block = Block.build(channel=paper.channel, number=1, previous_hash="", timestamp_us=NOW_US, envelopes=[update])
        try:
            async with asyncio.timeout(10):
                await chain.config_after(chain.config, block)
            assert not submitted.done()
        finally:
            let_go.set()
            await submitted
