"""What people come for, with the pages only: why was a bus injected, and which peer is behind?"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support.console_process import ConsoleProcess, run_command
from tests.support.grid_feed import CALM, SAG, GridFeed, grid_feed
from tests.support.local_network import LocalNetwork


@pytest.fixture(scope="module")
def feed(network: LocalNetwork) -> Iterator[GridFeed]:
    with grid_feed(network.profile) as running:
        yield running


def test_an_operator_finds_why_a_bus_was_injected_and_proves_it(
    page: Page, console: ConsoleProcess, feed: GridFeed
) -> None:
    """From the picture to the injection, from there to the frame that asked for it, and what vouches for that."""
    feed.frame = SAG
    page.goto(console.origin)
    injection = page.locator("#injections tbody tr").first
    injection.wait_for(timeout=30_000)
    feed.frame = CALM
    injection.get_by_role("link", name=re.compile("^[0-9a-f]{12}$")).click()
    expect(page.get_by_role("heading", name=re.compile("^Transaction"))).to_be_visible()
    main = page.locator("main")
    expect(main).to_contain_text('"group": "1"')
    expect(main).to_contain_text('"outcome": "injected"')
    expect(main).to_contain_text('"weak_bus": 3')
    expect(page.locator("ol.steps .state.bad")).to_have_count(0)
    expect(page.locator("ol.steps .state.good").nth(7)).to_be_visible()
    page.get_by_role("button", name="Ask all peers").click()
    expect(main).to_contain_text("All peers were asked. VALID: Org1MSP, Org2MSP say so", timeout=20_000)


def test_an_engineer_finds_which_peer_is_behind(page: Page, console: ConsoleProcess, network: LocalNetwork) -> None:
    [committer] = network.children("peer2", "services.peer.committer")
    os.kill(committer, signal.SIGSTOP)
    try:
        for number in range(6):
            run_command(network.folder.root, "invoke", "shard1", "kv", "put", "behind", str(number))
        page.goto(f"{console.origin}/network")
        first = page.locator("#nodes tbody tr").first
        expect(first).to_contain_text("peer2", timeout=15_000)
        expect(first).to_contain_text("behind")
    finally:
        os.kill(committer, signal.SIGCONT)
    expect(page.locator("#nodes tbody")).not_to_contain_text("behind", timeout=15_000)
