"""Every page in a browser: accessible at both widths in light and dark, from nowhere else, live in many tabs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from gridledger import jsontext
from tests.support.console_process import ConsoleProcess, run_command, wait_for
from tests.support.local_network import LocalNetwork
from tests.support.processes import REPOSITORY

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
SHOTS = REPOSITORY / "out" / "browser"
HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
WIDTHS = (1400, 400)
SCHEMES = ("light", "dark")
PAGES = {
    "network": "/network",
    "channels": "/channels",
    "channel": "/channels/shard1",
    "configurations": "/channels/shard1/configurations",
    "chaincode": "/channels/shard1/chaincodes/kv?function=put",
    "transactions": "/channels/shard1/transactions",
    "key": "/channels/shard1/keys?chaincode=kv&key=" + quote(HOSTILE),
    "search": "/search?q=" + quote(HOSTILE[:190]),
    "benchmark": "/benchmark",
    "blocks": "/channels/shard1/blocks",
    "block": "/channels/shard1/blocks/{block}",
    "transaction": "/channels/shard1/transactions/{tx_id}",
    "about": "/about",
    "error": "/no-such-page",
}
TABS = 12


@pytest.fixture(scope="module")
def hostile(network: LocalNetwork) -> dict[str, Any]:
    """The status of a transaction whose key, value and event are texts that would run if they were HTML."""
    value = json.dumps({"text": HOSTILE})
    done = run_command(network.folder.root, "invoke", "shard1", "kv", "put", HOSTILE, value, "--json")
    return dict(jsontext.loads(done.stdout))


@pytest.fixture
def places(hostile: dict[str, Any]) -> dict[str, str]:
    return {name: path.format(**hostile) for name, path in PAGES.items()}


@dataclass
class Screen:
    page: Page
    name: str

    def serious_violations(self) -> list[tuple[str, list[str]]]:
        """What axe-core calls serious or critical, with the beginnings of the elements."""
        self.page.add_script_tag(path=AXE)
        found = self.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        return [
            (item["id"], [node["html"][:160] for node in item["nodes"]][:3])
            for item in found["violations"]
            if item["impact"] in ("serious", "critical")
        ]

    def overflow_px(self) -> int:
        """By how much the page is wider than the screen."""
        return int(self.page.evaluate("() => document.documentElement.scrollWidth - innerWidth"))


@pytest.fixture(
    params=[(width, scheme) for width in WIDTHS for scheme in SCHEMES], ids=lambda one: f"{one[0]}-{one[1]}"
)
def screen(browser: Browser, session_state: Any, request: pytest.FixtureRequest) -> Iterator[Screen]:
    """A page of a width and a colour scheme. Its content security policy is off: axe-core is put into it."""
    width, scheme = request.param
    context = browser.new_context(
        storage_state=session_state,
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        bypass_csp=True,
    )
    yield Screen(context.new_page(), f"{width}-{scheme}")
    context.close()


def test_each_page_is_accessible(screen: Screen, console: ConsoleProcess, places: dict[str, str]) -> None:
    """axe-core finds nothing serious, nothing is wider than the screen, and a picture of each page is kept."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    for name, path in places.items():
        screen.page.goto(console.origin + path)
        if name != "error":
            screen.page.locator("#live").get_by_text("live", exact=True).wait_for()
        screen.page.screenshot(path=SHOTS / f"{name}-{screen.name}.png", full_page=True)
        assert screen.serious_violations() == [], name
        assert screen.overflow_px() <= 0, name


def test_nothing_is_asked_of_another_host(
    context: BrowserContext, console: ConsoleProcess, places: dict[str, str]
) -> None:
    asked: set[str] = set()

    def look(route: Route) -> None:
        asked.add(route.request.url.split("/")[2])
        route.continue_()

    context.route("**/*", look)
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    for path in [path for name, path in places.items() if name != "error"]:
        page.goto(console.origin + path)
        page.locator("#live").get_by_text("live", exact=True).wait_for()
    assert asked == {f"{console.name}:{console.port}"}
    assert faults == []


def test_what_comes_from_the_ledger_stays_text(page: Page, console: ConsoleProcess, places: dict[str, str]) -> None:
    page.goto(console.origin + places["transaction"])
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    assert page.evaluate("() => window.hacked") is None
    assert page.locator("main script, main img").count() == 0


def test_a_new_block_is_shown_without_a_reload(page: Page, console: ConsoleProcess, network: LocalNetwork) -> None:
    page.goto(f"{console.origin}/channels/shard1/blocks")
    page.locator("#live").get_by_text("live", exact=True).wait_for()
    first = page.locator("#blocks-shard1 tbody tr td").first
    before = first.inner_text()
    _put(network, "live", "1")
    expect(first).not_to_have_text(before, timeout=10_000)


def _put(network: LocalNetwork, key: str, value: str) -> None:
    run_command(network.folder.root, "invoke", "shard1", "kv", "put", key, value)


@pytest.fixture
def tabs(context: BrowserContext, console: ConsoleProcess) -> Iterator[list[Page]]:
    opened = [context.new_page() for _ in range(TABS)]
    for tab in opened:
        tab.goto(f"{console.origin}/channels")
    yield opened
    for tab in opened:
        if not tab.is_closed():
            tab.close()


def test_many_tabs_are_live_by_one_stream(tabs: list[Page], console: ConsoleProcess) -> None:
    """A browser opens six connections to a host: twelve tabs with a stream each would leave none to load a page."""
    for tab in tabs:
        tab.locator("#live").get_by_text("live", exact=True).wait_for()
    health = jsontext.loads(console.request("GET", "/healthz")[2])
    assert health["browsers"] == 1
    assert health["streams"] == 4
    for tab in tabs:
        tab.get_by_role("navigation", name="Pages").get_by_role("link", name="Network").click()
        tab.get_by_role("heading", name="Network").wait_for()


def test_the_stream_is_handed_on_when_its_tab_is_closed(tabs: list[Page], console: ConsoleProcess) -> None:
    for tab in tabs[:-1]:
        tab.close()
    last = tabs[-1]
    wait_for(lambda: jsontext.loads(console.request("GET", "/healthz")[2])["browsers"] == 1, 20, "another tab's stream")
    expect(last.locator("#live")).to_have_text("live")


def test_a_pause_stops_changes_and_going_on_shows_the_newest(
    page: Page, console: ConsoleProcess, network: LocalNetwork
) -> None:
    page.goto(f"{console.origin}/channels/shard1/blocks")
    page.locator("#live").get_by_text("live", exact=True).wait_for()
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    first = page.locator("#blocks-shard1 tbody tr td").first
    before = first.inner_text()
    _put(network, "paused", "1")
    expect(page.locator("#blocks-shard1")).to_contain_text(before)
    assert first.inner_text() == before
    page.get_by_role("button", name="Go on").click()
    expect(first).not_to_have_text(before, timeout=10_000)


@pytest.mark.parametrize("form", ["csv", "json"])
def test_lists_are_exported(context: BrowserContext, console: ConsoleProcess, form: str) -> None:
    cookie = "; ".join(f"{item['name']}={item['value']}" for item in context.cookies(console.origin))
    status, headers, text = console.request("GET", f"/channels?format={form}", cookie=cookie)
    assert (status, form in headers["content-type"]) == (200, True)
    names = [item["channel"] for item in json.loads(text)["items"]] if form == "json" else text
    assert all(name in names for name in ("mainchain", "shard1", "shard2", "shard3"))
