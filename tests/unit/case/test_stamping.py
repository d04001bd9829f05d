"""What a time stamp authority is asked over HTTP, and what is taken of what it answers."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from gridledger.errors import InputError
from gridledger.evidence.stamp import MAX_STAMP_BYTES
from services.case.stamping import Request, TSAUnreachable, ask_tsa, request_over, tsa_url
from tests.support.time_stamps import QUERY, REPLY, TSA, Answer, openssl, serving


async def asked(answer: Answer, within_s: float = 20) -> bytes:
    with serving(lambda body, headers: answer) as url:
        return await ask_tsa(tsa_url(url), Request(b"a request", 1), within_s=within_s)


async def refused(answer: Answer, within_s: float = 20) -> str:
    with pytest.raises(TSAUnreachable) as caught:
        await asked(answer, within_s)
    return caught.value.message


async def test_a_real_authority_takes_the_request_and_its_answer_comes_back(tmp_path: Path) -> None:
    tsa = TSA(tmp_path / "tsa")
    seen: list[tuple[bytes, dict[str, str]]] = []

    def answer(body: bytes, headers: dict[str, str]) -> Answer:
        seen.append((body, headers))
        return Answer([tsa.reply(body)], headers={"Content-Type": f"{REPLY}; x=y"})

    request = request_over(b"a package")
    with serving(answer) as url:
        reply = await ask_tsa(tsa_url(url), request)
    [(body, headers)] = seen
    assert body == request.content
    assert headers["content-type"] == QUERY
    (tmp_path / "asked").write_bytes(body)
    told = openssl("ts", "-query", "-in", tmp_path / "asked", "-text").decode()
    assert "Hash Algorithm: sha256" in told
    assert "Certificate required: yes" in told
    assert int(told.partition("Nonce: ")[2].split()[0], 16) == request.nonce
    (tmp_path / "answer").write_bytes(reply)
    assert b"Status: Granted." in openssl("ts", "-reply", "-in", tmp_path / "answer", "-text")
    assert request_over(b"a package").nonce != request.nonce


async def test_what_is_no_answer_is_told() -> None:
    assert "answers with HTTP status 500" in await refused(Answer([b""], 500))
    told = await refused(Answer([b"<html>"], headers={"Content-Type": "text/html"}))
    assert told.endswith("is no time stamp authority: it answers 'text/html', not application/timestamp-reply")
    assert "it answers ''" in await refused(Answer([b""], headers={}))


async def test_no_redirect_is_followed() -> None:
    for to in ("file:///etc/passwd", "http://127.0.0.1:1/tsr"):
        told = await refused(Answer([b""], 302, {"Location": to}))
        assert f"sends on to '{to}', which is not followed" in told


async def test_an_answer_without_end_is_cut_off() -> None:
    parts = [b"x" * 4096] * (2 * MAX_STAMP_BYTES // 4096)
    assert f"answers with more than {MAX_STAMP_BYTES} bytes" in await refused(Answer(parts))


async def test_an_authority_that_is_silent_or_slow_is_given_up_in_time() -> None:
    over = threading.Event()
    slow = Answer([b"x"] * 600, before_part=lambda: over.wait(0.05))  # each byte within any patience between two
    try:
        assert (await refused(slow, within_s=0.3)).endswith("gives no answer within 0.3 s")
        silent = Answer([b"x"], before_part=lambda: over.wait(2))
        assert (await refused(silent, within_s=0.3)).endswith("gives no answer within 0.3 s")
    finally:
        over.set()
    with serving(lambda body, headers: Answer([b""])) as url:
        gone = url
    with pytest.raises(TSAUnreachable, match="cannot be reached: "):
        await ask_tsa(tsa_url(gone), Request(b"", 1))


def test_an_address_is_one_of_http() -> None:
    assert str(tsa_url("https://tsa.example.org/tsr")) == "https://tsa.example.org/tsr"
    for wrong in (
        "tsa.example.org",
        "file:///etc/passwd",
        "ftp://a.example/x",
        "http://",
        "http://a:b",
        "http://a/" + "x" * 3000,
        "",
    ):
        with pytest.raises(InputError, match="is no address"):
            tsa_url(wrong)


async def test_a_password_in_the_address_is_sent_and_not_told() -> None:
    seen: list[dict[str, str]] = []

    def answer(body: bytes, headers: dict[str, str]) -> Answer:
        seen.append(headers)
        return Answer([b""], 401)

    with serving(answer) as url, pytest.raises(TSAUnreachable) as caught:
        await ask_tsa(tsa_url(url.replace("http://", "http://ann:secret@")), Request(b"", 1))
    assert seen[0]["authorization"].startswith("Basic ")
    assert "secret" not in caught.value.message
