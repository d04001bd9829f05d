"""The demonstration's feeder beside the console: what it causes is seen, whatever becomes of connections meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Event, Thread
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from gridledger.client import SigningIdentity, connect
from tests.support.console_process import running_console
from tests.support.local_network import LocalNetwork
from tests.support.processes import END_WITHIN_S, REPOSITORY
from tests.support.stalling_proxy import StallingProxy, stalling_proxy

pytestmark = pytest.mark.deep
RATE = 5.0
SECONDS = 40
CUT_EVERY_S = 3.0
WHOLE_S = 30.0
SAID_WITHIN_S = 1.0
"""After the third frame that was missed."""


class CutNetwork:
    """The network's peers behind proxies, all of whose connections break every ``CUT_EVERY_S`` while ``cutting``."""

    def __init__(self, network: LocalNetwork) -> None:
        self._network = network
        self.profile = network.folder.root / "connection-cut.json"
        self.cutting, self._ready, self._ended = Event(), Event(), Event()
        self.cuts = 0
        self._thread = Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> CutNetwork:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(30)

    async def _run(self) -> None:
        told = json.loads((self._network.folder.root / "connection.json").read_text())
        proxies: list[StallingProxy] = []
        async with asyncio.timeout(600):
            async with asyncio.TaskGroup() as tasks:
                stop = asyncio.Event()
                for entry in told["peers"].values():
                    started: asyncio.Future[StallingProxy] = asyncio.get_running_loop().create_future()
                    tasks.create_task(_proxy(urlsplit(entry["url"]).port or 0, started, stop))
                    proxies.append(await started)
                    entry["url"] = f"https://127.0.0.1:{proxies[-1].port}"
                self.profile.write_text(json.dumps(told))
                self._ready.set()
                while not self._ended.is_set():
                    await asyncio.sleep(CUT_EVERY_S)
                    if self.cutting.is_set():
                        self.cuts += 1
                        for proxy in proxies:
                            proxy.cut()
                stop.set()


async def _proxy(port: int, started: asyncio.Future[StallingProxy], stop: asyncio.Event) -> None:
    async with stalling_proxy(port) as proxy:
        started.set_result(proxy)
        await stop.wait()


@pytest.fixture(scope="module")
def cut(network: LocalNetwork) -> Iterator[CutNetwork]:
    with CutNetwork(network) as running:
        yield running


@pytest.fixture(scope="module")
def page(browser: Browser, cut: CutNetwork) -> Iterator[Page]:
    """The page Grid of a console whose connections are cut."""
    with ExitStack() as stack:
        console = stack.enter_context(running_console(cut.profile, ["--user", "ControlRoom/admin"]))
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        stack.callback(context.close)
        found = context.new_page()
        found.goto(console.login)
        found.get_by_role("button", name="Log in").click()
        found.wait_for_url("**/grid")
        yield found


@contextmanager
def feeder(network: LocalNetwork, scenario: str, seconds: int) -> Iterator[subprocess.Popen[bytes]]:
    """The feeder with a scenario of the demonstration."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "services.feeder", "--dir", str(network.folder.root), "--rate", str(RATE)),
            *("--seconds", str(seconds), "--scenario", scenario),
        ],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        for number in (signal.SIGCONT, signal.SIGTERM):
            if process.poll() is None:
                os.killpg(process.pid, number)
        process.wait(END_WITHIN_S)


def injected(network: LocalNetwork) -> set[str]:
    """The ids of all transactions on the ledger that have ordered an injection, or taken one back."""

    async def read() -> set[str]:
        found: set[str] = set()
        admin = SigningIdentity.load(network.profile.user("ControlRoom", "admin"))
        async with await connect(network.profile, identity=admin) as gateway:
            for channel in network.profile.channels:
                place = gateway.get_network(channel)
                height = (await place.get_chain_info()).height
                async for event in place.full_block_events(start_block=0):
                    for number, (tx_id, envelope) in enumerate(
                        zip(event.event.tx_ids, event.block.envelopes, strict=True)
                    ):
                        if b"ControlAction" in envelope and event.event.codes[number].name == "VALID":
                            found.add(tx_id)
                    if event.event.number == height - 1:
                        break
        return found

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, read()).result(60)


def test_alarm_merge_and_injections_are_seen_and_none_is_missed(
    network: LocalNetwork, cut: CutNetwork, page: Page
) -> None:
    cut.cutting.set()
    with feeder(network, "starved", SECONDS) as process:
        expect(page.locator("#alarm-strip")).to_contain_text("group 1", timeout=90_000)
        expect(page.locator("#merges")).to_contain_text("1 + 2", timeout=90_000)
        assert process.wait(SECONDS + 60) == 0
    cut.cutting.clear()
    assert cut.cuts > 5
    wanted = injected(network)
    assert wanted
    shown = page.locator("#injections tbody tr")
    expect(shown).to_have_count(len(wanted), timeout=20_000)
    links = page.locator("#injections tbody a[href*='/transactions/']").evaluate_all(
        "(links) => links.map((link) => link.getAttribute('href').split('/').pop())"
    )
    assert set(links) == wanted


def test_a_feeder_that_hangs_is_told_within_a_second_of_the_third_missed_frame(
    network: LocalNetwork, page: Page
) -> None:
    fresh = page.locator("#groups tr[data-group='1']:not(.stale)")
    with feeder(network, "base", 60) as process:
        fresh.wait_for(timeout=60_000)
        expect(fresh.locator("[data-field='rate']")).to_have_text(re.compile(r"^[45]\.\d$"), timeout=WHOLE_S * 1000)
        os.killpg(process.pid, signal.SIGSTOP)
        stopped = time.monotonic()
        page.locator("#groups tr.stale[data-group='1']").wait_for(timeout=15_000)
        took_s = time.monotonic() - stopped
    on_its_way_s = 2 / RATE
    assert took_s < 3 / RATE + SAID_WITHIN_S + on_its_way_s
