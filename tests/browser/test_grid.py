"""The pages of the grid in a browser: a sag, an injection, an acknowledgement, frames that stay away; legible."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from gridledger.network.users import enroll_user
from services.console.grid.state import GRACE_US, MISSED
from tests.browser.test_pages import SHOTS, Screen
from tests.support.console_process import ConsoleProcess, running_console
from tests.support.grid_feed import CALM, INTERVAL_S, SAG, GridFeed, grid_feed
from tests.support.local_network import LocalNetwork

PAGES = {"grid": "/grid", "group": "/groups/shard1/1", "alarms": "/alarms"}
CONTRASTS = Path(__file__).parent / "contrasts.js"
LEAST_CONTRAST = 4.5
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")


@pytest.fixture(scope="module")
def console(network: LocalNetwork) -> Iterator[ConsoleProcess]:
    """As an observer, who reads all, and an operator of one organisation."""
    attributes = {"alarms.role": "operator"}
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, enroll_user(network.profile, "Org1", "operator", "client", attributes)).result(60)
    users = ["--user", "ControlRoom/admin", "--user", "Org1/operator"]
    with running_console(network.folder.root, users) as running:
        yield running


@pytest.fixture(scope="module")
def feed(network: LocalNetwork) -> Iterator[GridFeed]:
    with grid_feed(network.profile) as running:
        yield running


@pytest.fixture
def grid(page: Page, console: ConsoleProcess, feed: GridFeed) -> Page:
    """The page Grid with the diagram, and frames coming."""
    feed.go_on()
    page.goto(f"{console.origin}/grid")
    page.locator("#one-line").wait_for(timeout=30_000)
    page.locator("#groups tbody tr[data-group='1']").wait_for(timeout=30_000)
    return page


def test_a_sag_its_injection_and_its_acknowledgement_are_seen(
    grid: Page, console: ConsoleProcess, feed: GridFeed
) -> None:
    expect(grid.locator("#bus-3 .value")).to_have_text(re.compile(r"^[01]\.\d{3}$"))
    expect(grid.locator("#bus-3")).to_have_class(re.compile(r"\bok\b"))
    feed.frame = SAG
    expect(grid.locator("#bus-3")).to_have_class(re.compile(r"\blow\b.*\bweak\b"), timeout=10_000)
    expect(grid.locator("#alarm-strip")).to_contain_text("group 1 on shard1")
    expect(grid.locator("#injections tbody tr").first).to_contain_text("+", timeout=10_000)
    expect(grid.locator("#bus-3 .stands")).to_have_text(re.compile(r"^\+\d+\.\d MVAr$"))
    injected = next(answer for answer in feed.sent if answer["outcome"] == "injected")
    expect(grid.locator("#injections tbody tr").first).to_contain_text(f"{injected['control']['q_mvar']:+.3f}")
    feed.frame = CALM
    expect(grid.locator("#bus-3")).to_have_class(re.compile(r"\bok\b"), timeout=10_000)
    grid.get_by_role("link", name="Alarms").first.click()
    row = grid.locator("#alarm-shard1-1-vsi")
    row.get_by_label("Note on the alarm of group 1").fill("seen in the control room")
    row.get_by_role("button", name="Acknowledge").click()
    expect(row).to_have_count(0, timeout=10_000)  # it had returned to normal


def test_frames_that_stay_away_are_told_within_a_second_of_the_third(grid: Page, feed: GridFeed) -> None:
    expect(grid.locator("#groups tr.stale")).to_have_count(0)
    feed.stop()
    last = time.monotonic()
    grid.locator("#groups tr.stale").first.wait_for(timeout=15_000)
    took_s = time.monotonic() - last
    assert took_s > MISSED * INTERVAL_S
    assert took_s < MISSED * 2 * INTERVAL_S + GRACE_US / 1e6 + 1.5  # a frame may be on its way as they stop
    expect(grid.locator("#groups tr.stale")).to_contain_text(re.compile(r"no data since \d\d:\d\d:\d\d"))
    expect(grid.locator("#bus-3")).to_have_class(re.compile(r"\bnone\b"))
    expect(grid.locator("#bus-3 .value")).to_have_text("")
    expect(grid.locator("#alarm-strip")).to_contain_text("no frames come")
    feed.go_on()
    expect(grid.locator("#groups tr.stale")).to_have_count(0, timeout=10_000)
    expect(grid.locator("#bus-3 .value")).not_to_have_text("")


@pytest.fixture(params=[(1400, "light"), (400, "dark")], ids=str)
def shown(
    browser: Browser, session_state: Any, request: pytest.FixtureRequest
) -> Iterator[tuple[Screen, Literal["light", "dark"]]]:
    width, scheme = request.param
    context = browser.new_context(
        storage_state=session_state,
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        bypass_csp=True,
    )
    yield Screen(context.new_page(), f"{width}-{scheme}"), scheme
    context.close()


def test_the_pages_are_accessible_and_their_pictures_legible(
    shown: tuple[Screen, Literal["light", "dark"]], console: ConsoleProcess, feed: GridFeed
) -> None:
    """axe-core judges no text in SVG or canvas: their contrast is computed from the colours that the browser uses."""
    screen, own = shown
    feed.go_on()
    for name, path in PAGES.items():
        screen.page.goto(console.origin + path)
        screen.page.locator("#live").get_by_text("live", exact=True).wait_for()
        if name == "grid":
            screen.page.locator("#one-line").wait_for(timeout=30_000)
            screen.page.locator(".u-legend").wait_for()
            # Every level is looked at, whatever the grid is like now.
            screen.page.evaluate("() => { window.live.paused = () => true; }")
            buses = screen.page.locator("#one-line .bus")
            for place, level in enumerate(("ok", "near", "low", "none", "low weak")):
                buses.nth(place).evaluate(f"(bus) => bus.setAttribute('class', 'bus load {level}')")
            for scheme in SCHEMES:
                screen.page.emulate_media(color_scheme=scheme)
                contrasts = screen.page.evaluate(CONTRASTS.read_text())
                assert len(contrasts) > 10
                assert {what: value for what, value in contrasts.items() if value < LEAST_CONTRAST} == {}, scheme
            screen.page.emulate_media(color_scheme=own)
        screen.page.screenshot(path=SHOTS / f"{name}-{screen.name}.png", full_page=True)
        assert screen.serious_violations() == [], name
        assert screen.overflow_px() <= 0, name
