"""Asks a time stamp authority for a stamp over a package: RFC 3161 by HTTP (section 3.4)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import httpx

from gridledger.errors import InputError, UnavailableError
from gridledger.evidence.stamp import MAX_STAMP_BYTES
from gridledger.extras import MissingExtra

ASK_S: Final = 30.0
"""The whole exchange, from the connection to the last byte."""
SCHEMES: Final = ("http", "https")
_QUERY: Final = "application/timestamp-query"
_REPLY: Final = "application/timestamp-reply"
_MAX_URL: Final = 2048


class TSAUnreachable(UnavailableError):
    """A time stamp authority gives no answer in time, or something else than an answer of one."""

    code = "TSA_UNREACHABLE"


@dataclass(frozen=True, slots=True)
class Request:
    """A request (TimeStampReq in DER), and the nonce in it, by which its answer is known."""

    content: bytes
    nonce: int


def request_over(data: bytes) -> Request:
    """The request for a stamp over the SHA-256 of ``data``, with a random nonce and the wish for a certificate."""
    try:
        from rfc3161_client import HashAlgorithm, TimestampRequestBuilder  # noqa: PLC0415 - of the extra
    except ImportError:
        raise MissingExtra("a time stamp", "rfc3161_client", "forensics") from None
    builder = TimestampRequestBuilder(data=data, hash_algorithm=HashAlgorithm.SHA256, nonce=True, cert_req=True)
    request = builder.build()
    if request.nonce is None:
        raise AssertionError("a request without the nonce that was asked for")
    return Request(request.as_bytes(), request.nonce)


def tsa_url(text: str) -> httpx.URL:
    """The address of an authority; :class:`InputError` where it is none."""
    try:
        url = httpx.URL(text[:_MAX_URL])
    except httpx.InvalidURL as error:
        raise InputError(f"{text!r:.200} is no address: {error}") from None
    if len(text) > _MAX_URL or url.scheme not in SCHEMES or not url.host:
        raise InputError(f"{text!r:.200} is no address such as https://tsa.example.org/tsr")
    return url


async def ask_tsa(url: httpx.URL, request: Request, *, within_s: float = ASK_S) -> bytes:
    """An authority's answer as it came: nothing of it is believed yet.

    The answers of one are signed, so http serves as well as https. It may be behind a proxy of the environment. No
    redirect is followed: whoever is asked is whom the user named. Raises :class:`TSAUnreachable`.
    """
    where = str(url.copy_with(userinfo=b""))
    headers = {"Content-Type": _QUERY, "Accept": _REPLY, "Accept-Encoding": "identity"}
    try:
        async with (
            asyncio.timeout(within_s),
            httpx.AsyncClient(follow_redirects=False, timeout=within_s) as client,
            client.stream("POST", url, content=request.content, headers=headers) as answer,
        ):
            _check(answer, where)
            return await _content(answer, where)
    except (TimeoutError, httpx.TimeoutException):
        raise TSAUnreachable(f"the time stamp authority at {where} gives no answer within {within_s:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        told = str(error) or type(error).__name__
        raise TSAUnreachable(f"the time stamp authority at {where} cannot be reached: {told:.300}") from None


def _check(answer: httpx.Response, where: str) -> None:
    if answer.is_redirect:
        to = answer.headers.get("location", "")
        raise TSAUnreachable(
            f"{where} sends on to {to!r:.200}, which is not followed: if that is the authority, name that address"
        )
    if not answer.is_success:
        raise TSAUnreachable(f"{where} answers with HTTP status {answer.status_code}")
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _REPLY:
        raise TSAUnreachable(f"{where} is no time stamp authority: it answers {kind!r:.80}, not {_REPLY}")


async def _content(answer: httpx.Response, where: str) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in answer.aiter_raw():
        size += len(part)
        if size > MAX_STAMP_BYTES:
            raise TSAUnreachable(f"{where} answers with more than {MAX_STAMP_BYTES} bytes, which is no stamp")
        parts.append(part)
    return b"".join(parts)
