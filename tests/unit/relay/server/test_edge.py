"""The page's edge: who may call, what is shown of hostile texts, who of the nodes is up."""

from __future__ import annotations

import asyncio
import json
import ssl
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gridledger.errors import BusyError, UnavailableError
from gridledger.identity.certificate import Certificate
from gridledger.web import WrongHost
from gridledger.web.members import ConfigSource, Members
from services.relay.server.capture_queries import CaptureQueries
from services.relay.server.nodes import Nodes
from services.relay.server.page import HEADERS, page
from services.relay.server.page_reads import PageReads
from services.relay.server.plain_callers import PlainCallers
from services.relay.settings import RelaySettings
from tests.support.waiting import until


def scope(*hosts: bytes) -> dict[str, Any]:
    return {"headers": [(b"host", host) for host in hosts]}


@pytest.mark.parametrize("host", [b"127.0.0.1:5004", b"LocalHost:5004", b"[::1]:5004", b"localhost"])
def test_a_plain_page_is_read_by_its_own_name(host: bytes) -> None:
    assert PlainCallers(5004).identify(scope(host)).signer == ("", "local")


@pytest.mark.parametrize(
    "hosts", [(b"evil.example:5004",), (b"127.0.0.1:5005",), (), (b"localhost", b"localhost"), (b"\xff\xfe",)]
)
def test_a_plain_page_is_read_by_no_other_name(hosts: tuple[bytes, ...]) -> None:
    with pytest.raises(WrongHost) as refused:
        PlainCallers(5004).identify(scope(*hosts))
    assert refused.value.code == "WRONG_HOST"


def settings(**more: Any) -> RelaySettings:
    given = {"name": "s", "server": "5004", "connection": "c.json", "identities": {"S": "i"}, "port": 1, "data": "d"}
    return RelaySettings(**{**given, **more})


def test_plain_is_for_loopback_only() -> None:
    assert settings(plain=True).on_loopback
    with pytest.raises(ValueError, match=r"without TLS on loopback only, not on 10\.0"):
        settings(plain=True, host="10.0.0.1")


def test_settings_that_cannot_be_used_are_refused() -> None:
    wrongs: list[dict[str, Any]] = [
        {"server": "a/b"},
        {"attest": "some"},
        {"minute_s": 0},
        {"fault_folder": "f"},
        {"identities": {}},
    ]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="validation error"):
            settings(**wrong)


class Msps:
    def __init__(self, known: str) -> None:
        self._known = known

    def identify(self, certificate: Any, at_us: int) -> str:
        return f"{self._known} knows {certificate} at {at_us}"

    def roots_pem(self) -> str:
        return f"roots of {self._known}"


class Channel:
    """A channel whose configuration changes."""

    def __init__(self) -> None:
        self.sequence, self.away, self.asked = 0, False, 0

    async def get_chain_info(self) -> Any:
        if self.away:
            raise UnavailableError("away")
        return SimpleNamespace(config_sequence=self.sequence)

    async def get_config(self) -> Any:
        if self.away:
            raise UnavailableError("away")
        self.asked += 1
        return SimpleNamespace(sequence=self.sequence, msps=Msps(f"config {self.sequence}"))


async def test_members_follow_the_channels_configuration() -> None:
    channel, trusted = Channel(), list[str]()
    members = Members(cast("ConfigSource", channel), trusted.append, lambda: 77)
    certificate = cast("Certificate", "x")
    with pytest.raises(UnavailableError, match="members are not known yet"):
        members.authenticate(certificate)
    await members.look()
    assert members.authenticate(certificate) == "config 0 knows x at 77"  # type: ignore[comparison-overlap]
    await members.look()
    assert channel.asked == 1
    channel.sequence = 3
    await members.look()
    assert members.authenticate(certificate) == "config 3 knows x at 77"  # type: ignore[comparison-overlap]
    assert trusted == ["roots of config 0", "roots of config 3"]
    channel.away = True
    with pytest.raises(UnavailableError):
        await members.look()
    assert members.authenticate(certificate) == "config 3 knows x at 77"  # type: ignore[comparison-overlap]


async def test_a_channel_that_was_away_is_asked_again_soon() -> None:
    channel = Channel()
    channel.away = True
    members = Members(cast("ConfigSource", channel), lambda _: None, lambda: 77, every_s=3600)
    following = asyncio.create_task(members.follow())
    await asyncio.sleep(0)
    channel.away = False
    await until(lambda: channel.asked, within_s=5)
    following.cancel()


HOSTILE = "<script>alert(1)</script>\"'&"


def test_what_relays_and_nodes_say_is_escaped() -> None:
    capture = {
        "minute": 10**12,
        "server": HOSTILE,
        "faults": HOSTILE,
        "breaches": [{"reading": 0, "field": HOSTILE, "value": HOSTILE, "limit": HOSTILE}],
        "attestations": [{"server": HOSTILE, "match": True}, {"server": HOSTILE + "2", "match": False}],
        "verdict": {"against": [HOSTILE + "2"]},
        "status": HOSTILE,
        "text": HOSTILE,
    }
    relay = {
        "relay": HOSTILE,
        "name": HOSTILE,
        "substation": HOSTILE,
        "silence": {"from": 1, "reason": HOSTILE},
        "captures": [capture],
    }
    node = {"name": HOSTILE, "url": HOSTILE, "up": False, "why": HOSTILE}
    state = {"relay": HOSTILE, "newest": None, "spool": HOSTILE, "fault": HOSTILE}
    over = {"operator": HOSTILE, "relays": 1, "why": HOSTILE}
    told = page(
        HOSTILE,
        [relay],
        [node],
        [{"relay": HOSTILE, "length": 1, "fault": HOSTILE}],
        states=[state],
        passed_over=[over],
    )
    assert "<script" not in told
    assert told.count("&lt;script&gt;") >= 20
    assert "src=" not in told
    assert "(limit &lt;script&gt;" in told
    assert told.index("Nodes") < told.index("The article's chain")
    assert HEADERS["content-security-policy"].startswith("default-src 'none'")


async def _serve(answer: bytes) -> tuple[asyncio.Server, str]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("answer", "up"),
    [
        (_http(b'{"status":"ok"}'), True),
        (_http(b'{"status":"stopping"}', "503 Service Unavailable"), False),
        (_http(b"<html>"), False),
        (_http(json.dumps("x" * 100_000).encode()), False),
        (b"no HTTP\r\n\r\n", False),
        (b"", False),
    ],
)
async def test_a_node_is_up_that_says_so(answer: bytes, up: bool) -> None:
    server, url = await _serve(answer)
    async with server:
        nodes = Nodes({"one": url, "gone": "http://127.0.0.1:1"}, ssl.create_default_context())
        one, gone = await nodes.states()
        assert (one["name"], one["url"], one["up"]) == ("one", url, up)
        assert (one["why"] is None) is up
        assert gone["up"] is False
        assert gone["why"]


async def test_nodes_are_asked_once_in_a_while_however_many_ask() -> None:
    asked = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_http(b'{"status":"ok"}'))
        await writer.drain()
        writer.close()

    now = 0.0
    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        nodes = Nodes({"one": url}, ssl.create_default_context(), lambda: now)
        await asyncio.gather(*(nodes.states() for _ in range(50)))
        assert asked == 1
        now = 2.0
        await nodes.states()
        assert asked == 2


async def test_the_page_reads_little_at_once_and_waits_not_for_ever() -> None:
    under_way, most = 0, 0
    let_go = asyncio.Event()

    class Ledger:
        async def get_relay(self, relay: str) -> dict[str, Any]:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await let_go.wait()
            under_way -= 1
            return {"relay": relay}

    reads = PageReads(cast("CaptureQueries", Ledger()), at_once=3, wait_s=0.05)
    outcomes = await asyncio.gather(*(reads.get_relay("R") for _ in range(10)), return_exceptions=True)
    assert most == 3
    assert all(isinstance(outcome, BusyError) for outcome in outcomes)
    let_go.set()
    assert await asyncio.gather(*(reads.get_relay("R") for _ in range(10))) == [{"relay": "R"}] * 10
