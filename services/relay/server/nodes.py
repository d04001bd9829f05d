"""Which processes of relay monitoring are up: each companion's ``/healthz``, asked at most every other second."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiohttp

FRESH_S: Final = 2.0
_TIMEOUT_S: Final = 2.0
_AT_ONCE: Final = 16
_MAX_BYTES: Final = 64 * 1024


class Nodes:
    """``companions`` are names and addresses; ``tls`` is used where an address is https."""

    def __init__(
        self,
        companions: Mapping[str, str],
        tls: ssl.SSLContext,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._companions = dict(companions)
        self._tls = tls
        self._clock = clock
        self._lock = asyncio.Lock()
        self._asked_at = float("-inf")
        self._found: list[dict[str, Any]] = []

    async def states(self) -> list[dict[str, Any]]:
        """Each companion: {name, url, up, status, why}."""
        async with self._lock:
            if self._clock() - self._asked_at >= FRESH_S:
                self._found = await self._ask_all()
                self._asked_at = self._clock()
            return self._found

    async def _ask_all(self) -> list[dict[str, Any]]:
        turns = asyncio.Semaphore(_AT_ONCE)
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:

            async def ask(name: str, url: str) -> dict[str, Any]:
                async with turns:
                    status, why = await self._status(session, url)
                return {"name": name, "url": url, "up": why is None, "status": status, "why": why}

            return list(await asyncio.gather(*(ask(name, url) for name, url in self._companions.items())))

    async def _status(self, session: aiohttp.ClientSession, url: str) -> tuple[str | None, str | None]:
        """What a companion says of itself; and why it is not up."""
        try:
            async with session.get(f"{url.rstrip('/')}/healthz", ssl=self._tls, allow_redirects=False) as response:
                body = json.loads(await response.content.read(_MAX_BYTES))
                status = str(body.get("status"))[:40] if isinstance(body, dict) else None
                return status, None if response.status == 200 else f"HTTP status {response.status}"  # noqa: PLR2004
        except TimeoutError:
            return None, "no answer in time"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return None, f"{type(error).__name__}: {error!s:.200}"
