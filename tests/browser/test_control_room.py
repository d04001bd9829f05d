"""The console of a control room: who logs in by a signature sees what the console and they may both read."""

from __future__ import annotations

import http.client
import json
import re
import ssl

import pytest
from playwright.sync_api import Browser, expect

from gridledger.protocol.fields import to_base64
from services.console.challenges import login_text
from tests.support.console_process import run_command
from tests.support.local_network import LocalNetwork
from tests.support.paper.organisation import PaperOrganisation


class Room:
    """The console as programs reach it."""

    def __init__(self, network: LocalNetwork) -> None:
        self.network = network
        self.port = next(one.port for one in network.config.companions if one.name == "console")
        self.origin = f"https://localhost:{self.port}"

    def request(self, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, str]:
        context = ssl.create_default_context(cadata=self.network.roots)
        connection = http.client.HTTPSConnection("localhost", self.port, context=context, timeout=20)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def login(self, user: str) -> str:
        """The address that the command prints."""
        done = run_command(self.network.folder.root, "console", "login", self.origin, "--no-browser", "--user", user)
        found = re.search(r"https://\S+/login\?t=\S+", done.stdout)
        assert found is not None, done.stdout
        return found[0]


@pytest.fixture(scope="module")
def room(network: LocalNetwork) -> Room:
    return Room(network)


def test_a_member_sees_what_both_may_read(room: Room, browser: Browser) -> None:
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    page.goto(room.login("Org1/admin"))
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("navigation", name="Pages").wait_for()
    page.goto(f"{room.origin}/channels")
    expect(page.get_by_role("link", name="shard1")).to_be_visible()
    expect(page.get_by_role("link", name="mainchain")).to_be_visible()
    assert page.get_by_text("shard2").count() == 0
    page.goto(f"{room.origin}/channels/shard2/blocks")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    page.goto(f"{room.origin}/network")
    expect(page.locator("table")).to_contain_text("shard1")
    assert page.get_by_text("shard2").count() == 0
    heard = page.evaluate(
        """async () => {
          const stop = new AbortController();
          const answer = await fetch("/live", {signal: stop.signal});
          const reader = answer.body.getReader();
          let text = "";
          while (!text.includes("flow/shard1")) text += new TextDecoder().decode((await reader.read()).value);
          stop.abort();
          return text;
        }"""
    )
    assert "shard2" not in heard
    context.close()


def test_a_token_of_the_command_line_works_once(room: Room) -> None:
    token = room.login("Org2/admin").partition("t=")[2]
    assert room.request("POST", "/login", f"token={token}")[0] == 200
    status, text = room.request("POST", "/login", f"token={token}")
    assert (status, "LOGIN_REFUSED" in text) == (401, True)


def test_a_stranger_does_not_log_in(room: Room) -> None:
    stranger = PaperOrganisation("Org1MSP").issue("alice", "client")
    status, text = room.request("GET", "/login/challenge")
    assert status == 200
    nonce = json.loads(text)["nonce"]
    answer = {
        "nonce": nonce,
        "certificate": stranger.certificate.pem,
        "signature": to_base64(stranger.sign(login_text(room.origin, nonce))),
    }
    status, text = room.request("POST", "/login/answer", json.dumps(answer))
    assert (status, "LOGIN_REFUSED" in text) == (401, True)


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"certificate": 1}', '{"certificate": "x", "nonce": "y"}'])
def test_what_is_no_answer_is_refused(room: Room, body: str) -> None:
    status, text = room.request("POST", "/login/answer", body)
    assert 400 <= status < 500, text


def test_without_a_session_nothing_is_told(room: Room) -> None:
    assert room.request("GET", "/network")[0] == 401
    assert room.request("GET", "/network", host=f"evil.example:{room.port}")[0] == 403
