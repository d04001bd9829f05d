"""The REST bridge as a process of its own, and a program that calls it with urllib alone."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.processes import ServiceProcess, free_ports

HEALTHY_WITHIN_S = 60.0


class Bridge:
    """The running bridge, called as the client of a token. Made by :func:`running_bridge`."""

    def __init__(self, url: str, token: str, tls: ssl.SSLContext | None = None, pid: int = 0) -> None:
        self.pid = pid
        self.url = url
        self.token = token
        self.tls = tls

    async def call(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        return await asyncio.to_thread(self.ask, path, body, headers)

    def ask(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """The same, for a test without an event loop."""
        try:
            with urllib.request.urlopen(self.request(path, body, headers), timeout=60, context=self.tls) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())["error"]

    def request(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> urllib.request.Request:
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return urllib.request.Request(
            self.url + path, data, {"Authorization": f"Bearer {self.token}", **(headers or {})}
        )


@contextmanager
def running_bridge(
    folder: Path,
    connection: Path,
    identities: Mapping[str, Path],
    clients: Mapping[str, list[str]] | None = None,
    *,
    trusted: ssl.SSLContext | None = None,
    **more: Any,
) -> Iterator[Bridge]:
    """A bridge with its settings and its token in ``folder``; it must end without a traceback.

    It listens on loopback, or as ``more`` settings say; ``trusted`` is then what its clients trust.
    """
    (port,) = free_ports(1)
    settings = {
        "name": "rest",
        "port": port,
        "data": ".",
        "connection": str(connection),
        "identities": {name: str(path) for name, path in identities.items()},
        "clients": dict(clients or {}),
        **more,
    }
    (folder / "config.json").write_text(json.dumps(settings))
    process = ServiceProcess("services.rest", folder / "config.json")
    process.start()
    try:
        url = f"{'http' if trusted is None else 'https'}://127.0.0.1:{port}"
        deadline = time.monotonic() + HEALTHY_WITHIN_S
        while not _healthy(process, url, trusted):
            assert time.monotonic() < deadline, f"the bridge is not healthy: {process.output()}"
            time.sleep(0.05)
        yield Bridge(url, (folder / "tokens" / "default").read_text().strip(), trusted, process.pid)
    finally:
        assert process.end() == 0
        assert "Traceback" not in process.output()


def _healthy(process: ServiceProcess, url: str, tls: ssl.SSLContext | None) -> bool:
    assert process.running, process.output()
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5, context=tls) as answer:
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False
