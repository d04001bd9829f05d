"""The way in: a token that works once, sessions, hosts, cookies, forged requests, a revoked identity."""

from __future__ import annotations

import asyncio
import http.server
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from gridledger.client import SigningIdentity
from gridledger.client.ca import CAClient
from tests.support.console_process import ConsoleProcess, run_command, running_console, wait_for
from tests.support.local_network import LocalNetwork
from tests.support.processes import REPOSITORY

PATHS = (
    "/",
    "/network",
    "/channels",
    "/channels/shard1",
    "/channels/shard1/blocks",
    "/channels/shard1/blocks/0",
    "/channels/shard1/transactions/x",
    "/search?q=1",
    "/benchmark",
    "/about",
    "/live",
    "/metrics",
    "/static/console.js",
    "/static/vendor/htmx.min.js",
    "/no-such-page",
)


def revoke(network: LocalNetwork, organisation: str, name: str) -> None:
    """Have the CA revoke a user, and the organisation's nodes and channels know of it."""
    profile = network.profile
    registrar = SigningIdentity.load(profile.user(organisation, "registrar"))
    client = CAClient(profile.ca.url, organisation, profile.ca.tls_root)
    with ThreadPoolExecutor(1) as pool:  # Playwright has this thread's event loop
        assert pool.submit(lambda: asyncio.run(client.revoke(registrar, name))).result(30)
    run_command(network.folder.root, "crl", "publish", "--from-ca", "--organisation", organisation)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("accept", ["text/html", "*/*"])
def test_without_a_session_nothing_is_told(console: ConsoleProcess, path: str, method: str, accept: str) -> None:
    status, headers, text = console.request(method, path, accept=accept)
    if accept == "text/html":
        assert (status, headers["location"]) == (303, "/login")
    else:
        assert (status, "SESSION_REQUIRED" in text) == (401, True)
    assert headers["content-security-policy"].startswith("default-src 'self'; frame-ancestors 'none'")


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "evil.example", "evil.example:{port}"])
@pytest.mark.parametrize("path", ["/login", "/network"])
def test_another_host_is_refused(console: ConsoleProcess, host: str, path: str) -> None:
    status, _, text = console.request("GET", path, host=host.format(port=console.port))
    assert (status, "WRONG_HOST" in text) == (403, True)


def test_the_token_works_once_and_stands_in_no_command_line(network: LocalNetwork) -> None:
    """The browser is a program that tells its command line; it is the user's own, named as Python's webbrowser does."""
    with running_console(network.folder.root, ["--user", "Org1/admin"]) as console:
        lines = " ".join(" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))
        assert console.token not in lines
        cookie = console.log_in()
        assert console.request("GET", "/about", cookie=cookie)[0] == 200
        status, _, text = console.request("POST", "/login", body=f"token={console.token}")
        assert (status, "LOGIN_REFUSED" in text) == (401, True)


def test_the_browser_is_given_a_file_that_nobody_else_reads(network: LocalNetwork, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    browser = tmp_path / "browser"
    browser.write_text(
        f"""#!/bin/sh
file="${{1#file://}}"
(echo "$@"; stat -c %a "$file"; cat "$file") > {seen}.part
mv {seen}.part {seen}
"""
    )
    browser.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-m", "services.console", "--dir", str(network.folder.root)],
        cwd=REPOSITORY,
        env={**os.environ, "BROWSER": f"{browser} %s"},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(seen.exists, 60, "the browser's start")
        line, mode, page = seen.read_text().split("\n", 2)
        assert line.startswith("file:///")
        assert mode == "600"
        token = page.partition('name=token value="')[2].partition('"')[0]
        assert len(token) > 40
        assert token not in line
    finally:
        process.terminate()
        process.wait(30)


def test_a_form_of_another_page_is_refused(console: ConsoleProcess, context: BrowserContext) -> None:
    cookie = "; ".join(f"{item['name']}={item['value']}" for item in context.cookies(console.origin))
    assert console.request("GET", "/about", cookie=cookie)[0] == 200
    for origin in ("http://evil.example", "null", f"http://{console.name}:1"):
        status, _, text = console.request("POST", "/logout", cookie=cookie, origin=origin, body="")
        assert (status, "FORGERY_REFUSED" in text) == (403, True)
    status, _, text = console.request("POST", "/logout", cookie=cookie, origin=console.origin, body="forgery_token=x")
    assert (status, "FORGERY_REFUSED" in text) == (403, True)


@contextmanager
def other_server() -> Iterator[tuple[int, list[str | None]]]:
    """Another program's server on this machine: its port, and the cookies that it was sent."""
    cookies: list[str | None] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            cookies.append(self.headers.get("cookie"))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], cookies
    finally:
        server.shutdown()


def test_the_cookie_is_sent_to_no_other_server(console: ConsoleProcess, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(f"{console.origin}/about")
    with other_server() as (port, cookies):
        for host in ("127.0.0.1", "localhost", "other.localhost"):
            page.goto(f"http://{host}:{port}/")
        assert len([item for item in cookies if item is None]) >= 3
        assert not [item for item in cookies if item is not None]


def test_a_session_ends_when_its_identity_is_revoked(network: LocalNetwork, browser: Browser) -> None:
    run_command(network.folder.root, "enroll", "Org1", "mallory")
    with running_console(network.folder.root, ["--user", "Org1/mallory"]) as console:
        context = browser.new_context()
        page = context.new_page()
        page.goto(console.login)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("navigation", name="Pages").wait_for()
        revoke(network, "Org1", "mallory")

        def is_sent_away() -> bool:
            page.goto(f"{console.origin}/about")
            return page.url.endswith("/login")

        wait_for(is_sent_away, 30, "the session's end")
        expect(page.get_by_text("Nobody is logged in here")).to_be_visible()
        context.close()


def test_logging_out_ends_the_session(console: ConsoleProcess, network: LocalNetwork, browser: Browser) -> None:
    with running_console(network.folder.root, ["--user", "Org2/admin"]) as own:
        context = browser.new_context()
        page = context.new_page()
        page.goto(own.login)
        page.get_by_role("button", name="Log in").click()
        page.goto(f"{own.origin}/about")
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url("**/login")
        page.goto(f"{own.origin}/network")
        assert page.url.endswith("/login")
        context.close()
