"""The reader of text over HTTP, against servers that answer whatever they like."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gridledger.errors import SettingsError
from services.relay.readers import Held, Reader, RelayAnswerBad, RelayUnreachable, in_brief, open_reader

ROW = "Time Stamp;30 11 2026 02 24 00;Vab;115.3;Vbc;116.0;Vca;116.2;Ia;26.0;Ib;30.8;Ic;45.1;F;60.1;FP;0.9;P;2.3;Q;5.7\n"
TEXT = f"30 11 2026 02 24\nRelay 1\nBogotá\n\nOpenings caused by faults: 22.0\n\n{ROW}"
MINUTE = 29_933_424
SHA256 = hashlib.sha256(TEXT.encode()).hexdigest()
ANSWER_S = 0.4
Peer = Callable[[bytes, asyncio.StreamWriter], object]


def whole(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def reader_of(*answers: bytes | None, endless: bytes = b"", pause_s: float = 0.0) -> AsyncIterator[Reader]:
    """The reader of a relay that gives these answers in turn, the last one ever again; None ends the connection.

    After its answer a relay may send ``endless`` for ever, a piece every ``pause_s``.
    """
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                answer = left.pop(0) if len(left) > 1 else left[0]
                if answer is None:
                    break
                writer.write(answer)
                while endless:
                    writer.write(endless)
                    await writer.drain()
                    await asyncio.sleep(pause_s)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        reader = open_reader(record(f"http://127.0.0.1:{port}"), "5004", answer_s=ANSWER_S)
        try:
            yield reader
        finally:
            await reader.close()


def record(address: str, protocol: str = "text") -> dict[str, object]:
    offsets = [{"from_minute": 0, "offset_min": 0}]
    return {"relay": "Rele_1", "protocol": protocol, "address": address, "utc_offsets": offsets, "period_s": 60}


async def test_a_capture_comes_with_name_hash_and_time() -> None:
    located = "Content-Location: /captures/30%2011%202026%2002%2024.txt"
    modified = "Last-Modified: Mon, 30 Nov 2026 02:25:00 GMT"
    async with reader_of(whole(TEXT.encode(), located, modified)) as reader:
        found = await reader.latest(None, 0)
    assert found is not None
    assert (found.name, found.text) == ("30 11 2026 02 24.txt", TEXT)
    assert found.sha256 == found.source_sha256 == SHA256
    assert (found.completed_us, found.minute) == (1_796_005_500_000_000, None)


async def test_what_was_seen_is_waited_beyond() -> None:
    seen, newer = whole(TEXT.encode()), whole(TEXT.replace("02 24", "02 25").encode())
    async with reader_of(seen, newer) as reader:
        found = await reader.latest(SHA256, 5)
    assert found is not None
    assert found.text.startswith("30 11 2026 02 25")


@pytest.mark.parametrize("answer", [whole(b"", status="204 No Content"), whole(b"", status="304 Not Modified")])
async def test_no_newer_capture_is_none_after_the_wait(answer: bytes) -> None:
    async with reader_of(answer) as reader:
        assert await reader.latest(SHA256, 0.05) is None


async def test_the_list_is_read() -> None:
    entries = [
        {"name": "30 11 2026 02 24 (2).txt", "sha256": SHA256, "completed_us": 5},
        {"name": "31 02 2026 02 24.txt"},
    ]
    async with reader_of(whole(json.dumps(entries).encode())) as reader:
        assert await reader.held() == [
            Held("30 11 2026 02 24 (2).txt", SHA256, MINUTE, 5),
            Held("31 02 2026 02 24.txt", None, None, None),
        ]


BAD_ANSWERS = {
    "an endless body": (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536, "longer than 65536 bytes"),
    "a body of 64 KiB and a byte": (whole(b"x" * 65537), b"", "longer than 65536 bytes"),
    "a redirect": (whole(b"", "Location: http://127.0.0.1:1/", status="302 Found"), b"", "HTTP status 302"),
    "an error": (whole(b"", status="500 Oops"), b"", "HTTP status 500"),
    "no UTF-8": (whole(b"\xff\xfe"), b"", "not UTF-8 at byte 0"),
    "compressed": (whole(b"x", "Content-Encoding: gzip"), b"", "compressed"),
    "no HTTP": (b"SSH-2.0-OpenSSH\r\n\r\n", b"", "does not speak HTTP"),
    "a long header": (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, b"", "does not speak HTTP"),
    "no length": (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", b"", "does not speak HTTP"),
}


@pytest.mark.parametrize("kind", BAD_ANSWERS)
async def test_an_answer_that_is_no_capture_is_refused(kind: str) -> None:
    answer, endless, why = BAD_ANSWERS[kind]
    async with asyncio.timeout(5), reader_of(answer, endless=endless) as reader:
        with pytest.raises(RelayAnswerBad, match=why) as refused:
            await reader.latest(None, 0)
    assert refused.value.code == "RELAY_ANSWER_BAD"
    assert in_brief(refused.value) == ("not HTTP" if why == "does not speak HTTP" else "answered badly")


CUT_ANSWERS = {
    "no answer": (b"", b"", "no whole answer within 0.4 s"),
    "slow bytes": (b"HTTP/1.1 200 OK\r\n\r\n", b"x", "no whole answer within 0.4 s"),
    "endless headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", "no whole answer within 0.4 s"),
    "a longer length than body": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", b"", "no whole answer"),
    "an end before the answer": (None, b"", "cannot be reached"),
}


@pytest.mark.parametrize("kind", CUT_ANSWERS)
async def test_an_answer_that_does_not_end_is_given_up(kind: str) -> None:
    answer, endless, why = CUT_ANSWERS[kind]
    async with asyncio.timeout(5), reader_of(answer, endless=endless, pause_s=0.02) as reader:
        with pytest.raises(RelayUnreachable, match=why) as refused:
            await reader.latest(None, 0)
    assert refused.value.code == "RELAY_UNREACHABLE"
    assert in_brief(refused.value) == ("unreachable" if why == "cannot be reached" else "no answer in time")


async def test_nobody_listening_is_unreachable() -> None:
    reader = open_reader(record("http://127.0.0.1:1"), "5004", answer_s=ANSWER_S)
    with pytest.raises(RelayUnreachable, match="cannot be reached"):
        await reader.held()
    await reader.close()


BAD_LISTS = {
    "a million entries": (b'[{"name":"a"}' + b',{"name":"a"}' * 999_999 + b"]", "longer than 1048576 bytes"),
    "entries beyond the bound": (json.dumps([{"name": "a"}] * 5001).encode(), "no list of at most 5000"),
    "no JSON": (b"[", "not a JSON text"),
    "deep JSON": (b"[" * 1000 + b"]" * 1000, "list of captures is"),
    "no list": (b"{}", "no list"),
    "no names": (b"[{}]", "names no capture"),
    "a name with a path": (json.dumps([{"name": "../../etc/passwd"}]).encode(), "names no capture"),
    "a name of dots": (json.dumps([{"name": ".."}]).encode(), "names no capture"),
    "a name with a line end": (json.dumps([{"name": "a\r\nb"}]).encode(), "names no capture"),
    "a time that is none": (json.dumps([{"name": "a", "completed_us": 1e300}]).encode(), "no SHA-256 and time"),
}


@pytest.mark.parametrize("kind", BAD_LISTS)
async def test_a_list_that_is_none_is_refused(kind: str) -> None:
    body, why = BAD_LISTS[kind]
    async with reader_of(whole(body)) as reader:
        with pytest.raises(RelayAnswerBad, match=why):
            await reader.held()


async def test_a_name_with_a_path_is_not_asked_for() -> None:
    async with reader_of(whole(TEXT.encode())) as reader:
        with pytest.raises(RelayAnswerBad, match="cannot be a capture's name"):
            await reader.fetch("../secret")


async def test_a_strange_time_of_completion_is_left_out() -> None:
    async with reader_of(whole(TEXT.encode(), "Last-Modified: yesterday")) as reader:
        found = await reader.fetch("a.txt")
    assert (found.name, found.completed_us) == ("a.txt", None)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "127.0.0.1:5010",
        "file:///etc/passwd",
        "http://",
        "http://a:x/",
        "http://a/?b",
        "http://u:p@a",
        "http://u@a",
        "http://@a",
    ],
)
def test_an_address_that_is_no_url_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="Rele_1"):
        open_reader(record(address), "5004")


def test_a_protocol_that_nobody_reads_is_refused() -> None:
    with pytest.raises(SettingsError, match="protocol telepathy"):
        open_reader(record("127.0.0.1:1", "telepathy"), "5004")
