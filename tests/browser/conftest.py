"""A network of three shards and its control room's console, a console as the observer, and Debian's Chromium.

Chromium comes from the system (apt-get install chromium), or from where GRIDLEDGER_CHROMIUM says.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from gridledger.network.companions import chosen
from tests.support.console_process import ConsoleProcess, running_console
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import three_shards

POLICIES = {"shard1": "OutOf(2, all)"}
OBSERVER = "ControlRoom/admin"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def chromium() -> str:
    found = os.environ.get("GRIDLEDGER_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert found is not None, "there is no Chromium: apt-get install chromium, or set GRIDLEDGER_CHROMIUM"
    return found


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    config = three_shards(POLICIES)
    with local_network(config, tmp_path_factory.mktemp("network"), chosen(config, ["console"])) as running:
        yield running


@pytest.fixture(scope="module")
def console(network: LocalNetwork) -> Iterator[ConsoleProcess]:
    with running_console(network.folder.root, ["--user", OBSERVER]) as running:
        yield running


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def session_state(browser: Browser, console: ConsoleProcess) -> object:
    """The cookies of a login, made as a person does it."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(console.login)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{console.origin}/*")
    page.get_by_role("navigation", name="Pages").wait_for()
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def context(browser: Browser, session_state: object) -> Iterator[BrowserContext]:
    made = browser.new_context(storage_state=session_state, viewport={"width": 1400, "height": 900})  # type: ignore[arg-type]
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()
