"""Reads a relay's captures as text over HTTP/1.1.

``GET /capture`` is the last complete capture, ``GET /captures`` the list of what the relay has, ``GET /captures/NAME``
one of them. What comes is not parsed here: it is UTF-8 of at most 64 KiB. With ``?after=SHA256&wait_s=S`` a relay that
can holds its answer until there is a newer capture; one that answers at once is asked again every second.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote

import aiohttp
from yarl import URL

from gridledger import jsontext
from gridledger.errors import MalformedJSON, SettingsError
from gridledger.field.capture import MAX_BYTES
from services.relay.readers.errors import ANSWERED_BADLY, LATE, NOT_HTTP, RelayAnswerBad, RelayUnreachable
from services.relay.readers.minutes import minutes_in_order, time_in_name
from services.relay.readers.reader import ANSWER_S, MAX_HELD, Delivered, Held

LONGEST_WAIT_S = 60.0
"""For how long a relay is asked to hold one answer."""
POLL_S = 1.0
"""How often a relay is asked that holds no answer."""
MAX_LIST_BYTES = 1024 * 1024
MAX_NAME = 128
_NO_NAME = "capture"
"""Of one whose name the relay does not tell."""
_CHUNK = 16 * 1024
_LAST_US = 1 << 53


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class TextReader:
    """The reader of a relay whose address is ``http://HOST:PORT`` or ``https://HOST:PORT``."""

    def __init__(self, record: dict[str, Any], server: str, *, answer_s: float = ANSWER_S) -> None:
        self._record = record
        self._base = base_of(record)
        self._agent = f"gridledger-relay/{server}"
        self._answer_s = answer_s
        self._session: aiohttp.ClientSession | None = None

    async def latest(self, after: str | None, wait_s: float) -> Delivered | None:
        """The last complete capture whose ``sha256`` is not ``after``; None when none came within ``wait_s``."""
        loop = asyncio.get_running_loop()
        end = loop.time() + wait_s
        while True:
            left = max(0.0, end - loop.time())
            found = await self._newer(after, min(left, LONGEST_WAIT_S))
            if found is not None:
                return found
            left = end - loop.time()
            if left <= 0:
                return None
            await asyncio.sleep(min(POLL_S, left))

    async def _newer(self, after: str | None, wait_s: float) -> Delivered | None:
        query = {"wait_s": f"{wait_s:.3f}"} | ({"after": after} if after else {})
        headers = {"If-None-Match": f'"{after}"'} if after else {}
        answer = await self._get("capture", MAX_BYTES, query, headers, wait_s)
        if answer.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            return None
        found = self._delivered(answer, _name_in(answer.headers))
        return None if found.sha256 == after else found

    async def held(self) -> list[Held]:
        """What the relay still has, oldest first."""
        answer = await self._get("captures", MAX_LIST_BYTES)
        self._expect_ok(answer, "captures")
        try:
            entries = jsontext.loads(answer.body)
        except MalformedJSON as error:
            raise self._bad(f"its list of captures is {error.message}") from None
        if not isinstance(entries, list) or len(entries) > MAX_HELD:
            raise self._bad(f"its list of captures is no list of at most {MAX_HELD}")
        held = [self._held(entry) for entry in entries]
        dated = [(time_in_name(item.name), item.completed_us) for item in held]
        minutes = minutes_in_order(dated, self._record)
        return [replace(item, minute=minute) for item, minute in zip(held, minutes, strict=True)]

    async def fetch(self, name: str) -> Delivered:
        """One of what :meth:`held` lists."""
        if not is_plain_name(name):
            raise self._bad(f"{name!r:.80} cannot be a capture's name")
        path = f"captures/{quote(name, safe='')}"
        return self._delivered(await self._get(path, MAX_BYTES), name)

    async def close(self) -> None:
        """Leave the relay."""
        if self._session is not None:
            await self._session.close()

    def _held(self, entry: object) -> Held:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(name, str) or not is_plain_name(name):
            raise self._bad(f"its list of captures has {json.dumps(entry)[:80]}, which names no capture")
        sha256, completed = entry.get("sha256"), entry.get("completed_us")
        if not isinstance(sha256, str | None) or not (completed is None or _is_time(completed)):
            raise self._bad(f"its list gives {name} no SHA-256 and time that can be read")
        return Held(name, sha256, None, completed)

    def _delivered(self, answer: _Answer, name: str | None) -> Delivered:
        self._expect_ok(answer, "a capture")
        try:
            text = answer.body.decode()
        except UnicodeDecodeError as error:
            raise self._bad(f"the capture is not UTF-8 at byte {error.start}") from None
        sha256 = hashlib.sha256(answer.body).hexdigest()
        return Delivered(name or _NO_NAME, text, sha256, sha256, None, _last_modified_us(answer.headers))

    async def _get(
        self,
        path: str,
        bound: int,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        wait_s: float = 0.0,
    ) -> _Answer:
        url = URL(f"{self._base}/{path}", encoded=True).with_query(query or {})
        try:
            async with (
                asyncio.timeout(wait_s + self._answer_s),
                self._opened().get(url, headers=headers, allow_redirects=False) as response,
            ):
                return _Answer(response.status, response.headers, await self._body(response, bound))
        except TimeoutError:
            raise RelayUnreachable(
                f"the relay at {self._base} gave no whole answer within {wait_s + self._answer_s:g} s", brief=LATE
            ) from None
        except (aiohttp.ClientResponseError, aiohttp.http.HttpProcessingError) as error:
            raise self._bad(f"it does not speak HTTP: {error.message or type(error).__name__:.200}", NOT_HTTP) from None
        except (aiohttp.ClientError, OSError) as error:
            raise RelayUnreachable(f"the relay at {self._base} cannot be reached: {error!s:.200}") from None
        except ValueError as error:  # headers that aiohttp cannot read
            raise self._bad(f"its answer cannot be read: {error!s:.200}") from None

    async def _body(self, response: aiohttp.ClientResponse, bound: int) -> bytes:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise self._bad("its answer is compressed, which was not asked for")
        parts, size = [], 0
        async for part in response.content.iter_chunked(_CHUNK):
            size += len(part)
            if size > bound:
                raise self._bad(f"its answer is longer than {bound} bytes")
            parts.append(part)
        return b"".join(parts)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers={"User-Agent": self._agent, "Accept-Encoding": "identity"},
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session

    def _expect_ok(self, answer: _Answer, what: str) -> None:
        if answer.status != HTTPStatus.OK:
            raise self._bad(f"asked for {what} it answered HTTP status {answer.status}")

    def _bad(self, why: str, brief: str = ANSWERED_BADLY) -> RelayAnswerBad:
        return RelayAnswerBad(f"the relay at {self._base}: {why}", brief=brief)


def is_plain_name(name: str) -> bool:
    """Whether a relay's name of a capture can be a file's: no path, nothing that cannot be printed."""
    return 0 < len(name) <= MAX_NAME and name.isprintable() and name.strip(". ") != "" and not set(name) & set("/\\")


def base_of(record: Mapping[str, Any]) -> str:
    """A relay's address without a slash at its end; :class:`SettingsError` where it is none of HTTP."""
    try:
        url = URL(record["address"])
        usable = url.scheme in ("http", "https") and url.host and "@" not in record["address"]
        usable = usable and not url.query_string and not url.fragment
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(
            f"relay {record['relay']}: the address {record['address']!r} is no http://HOST:PORT without a user"
        )
    return str(url).rstrip("/")


def _name_in(headers: Mapping[str, str]) -> str | None:
    """The name that ``Content-Location`` gives a capture, where it gives one."""
    name = unquote(headers.get("Content-Location", "").rpartition("/")[2])
    return name if is_plain_name(name) else None


def _last_modified_us(headers: Mapping[str, str]) -> int | None:
    try:
        told = parsedate_to_datetime(headers["Last-Modified"])
        us = round((told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()) * 1_000_000
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return us if _is_time(us) else None


def _is_time(value: object) -> bool:
    return type(value) is int and 0 <= value < _LAST_US
