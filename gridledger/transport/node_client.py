"""The HTTPS client of one node: certificates on both sides, lasting connections, errors rebuilt from the bodies.

Services use it for their requests to one another, the SDK for its gateway. A stream's server sends a heartbeat (an
empty frame, an empty line) at least every two seconds, so that the reader notices when the node has vanished.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import aiohttp

from gridledger import framing, jsontext
from gridledger.errors import (
    GridLedgerError,
    InputError,
    LimitError,
    MalformedFrames,
    TimeoutExceeded,
    UnavailableError,
    from_wire,
)
from gridledger.identity.signer import SigningIdentity, private_key_pem
from gridledger.transport.pins import Dialled, Pin, PinMismatch, PinnedContext
from gridledger.transport.stream_errors import read_error

HEARTBEAT_S = 2.0
"""How often, at the latest, a stream's server sends something."""

SILENCE_S = 3 * HEARTBEAT_S
"""How long a stream's reader waits for anything before it takes the server for gone."""

MAX_ANSWER_BYTES = 256 * 1024 * 1024
MAX_LINE_BYTES = 64 * 1024 * 1024


class ConnectionFailed(UnavailableError):
    """The node could not be reached, or the connection broke before its answer was complete."""

    code = "CONNECTION_FAILED"


class WrongNode(ConnectionFailed):
    """Who answers at the node's address is another than the node: its certificate is not the node's. Nothing was
    sent. ``details``: the fingerprints ``expected`` and the one ``seen``."""

    code = "WRONG_NODE"


class AnswerTooLarge(LimitError):
    """The node's answer is beyond what a client takes."""

    code = "ANSWER_TOO_LARGE"


def client_tls(identity: SigningIdentity | None, roots_pem: str, pin: Pin | None = None) -> ssl.SSLContext:
    """TLS 1.3 towards nodes whose certificates lead to ``roots_pem``, showing ``identity``'s own certificate.

    With a ``pin`` (an event loop's connections only) towards the node that it names alone.
    """
    if pin is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        context = PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
        context.pin = pin
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=roots_pem)
    if identity is not None:
        _load_identity(context, identity)
    return context


def path_of(*names: str) -> str:
    """The path of a route from its parts, each of them one segment whatever it holds: a channel named ``a/../b`` or
    ``?x`` by a user asks for no other route."""
    for name in names:
        if name in ("", ".", ".."):
            raise InputError(f"{name!r} is no name")
    return "".join(f"/{quote(name, safe='')}" for name in names)


def failed_connection(base_url: str, error: OSError) -> ConnectionFailed:
    """Why there is no connection: :class:`WrongNode` where the pin does not hold."""
    if isinstance(error, PinMismatch):
        return WrongNode(f"{base_url}: {error.why}", expected=list(error.expected), seen=error.seen)
    return ConnectionFailed(f"{base_url}: {error}")


class NodeClient:
    """One node's HTTP API as one identity sees it. Use inside one event loop; close it, or use ``async with``.

    With a ``pin`` nobody but the node that it names is talked to, else whoever has a certificate of ``roots_pem``.
    ``max_connections`` bounds the connections that are open at once; further requests wait for one. An answer of more
    than ``max_answer_bytes`` is refused. A connection whose
    peer confirms nothing for ``unconfirmed_s`` breaks, where the system can be told so (else it takes TCP's minutes).
    """

    def __init__(
        self,
        base_url: str,
        identity: SigningIdentity | None,
        roots_pem: str,
        *,
        pin: Pin | None = None,
        max_connections: int = 64,
        connect_timeout_s: float = 3.0,
        unconfirmed_s: float | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.tls = client_tls(identity, roots_pem, pin)
        self.connect_timeout_s = connect_timeout_s
        self._unconfirmed_s = unconfirmed_s
        self._max_connections = max_connections
        self._max_answer_bytes = max_answer_bytes
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def to(
        cls,
        node: Dialled,
        identity: SigningIdentity | None,
        *,
        max_connections: int = 64,
        unconfirmed_s: float | None = None,
    ) -> NodeClient:
        """The client of a node, and of nobody else in its place."""
        return cls(
            node.url,
            identity,
            node.roots_pem,
            pin=node.pin,
            max_connections=max_connections,
            unconfirmed_s=unconfirmed_s,
        )

    async def __aenter__(self) -> NodeClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def post(
        self,
        path: str,
        body: bytes,
        *,
        params: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> bytes:
        """POST ``body``; the answer's body. An error of the node's comes back as the error that it raised."""
        return await self._request("POST", path, body, params, timeout_s)

    async def upload(
        self, path: str, chunks: AsyncIterator[bytes], *, params: Mapping[str, str] | None = None
    ) -> bytes:
        """POST a body that is made as it goes, each chunk sent at once; the answer's body. Lasts as long as ``chunks``,
        or until the node answers before its end."""
        return await self._request("POST", path, chunks, params, None)

    async def get(self, path: str, *, params: Mapping[str, str] | None = None, timeout_s: float = 30.0) -> bytes:
        """GET ``path``; the answer's body."""
        return await self._request("GET", path, None, params, timeout_s)

    async def delete(self, path: str, *, params: Mapping[str, str] | None = None, timeout_s: float = 30.0) -> bytes:
        """DELETE ``path``; the answer's body."""
        return await self._request("DELETE", path, None, params, timeout_s)

    async def get_json(self, path: str, *, params: Mapping[str, str] | None = None, timeout_s: float = 30.0) -> Any:
        """GET ``path``; the value of the JSON text in the answer."""
        return jsontext.loads(await self.get(path, params=params, timeout_s=timeout_s))

    async def frames(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_frame_bytes: int = framing.MAX_FRAME_BYTES,
        silence_s: float = SILENCE_S,
    ) -> AsyncIterator[bytes]:
        """The frames of a stream as they come, heartbeats left out; ends where the server ends it, and raises the error
        with which the server ends it.

        With a ``body`` the stream is the answer to a POST of it, otherwise to a GET.
        """
        async with self._open(path, params, silence_s, body) as content:
            buffer = framing.FrameBuffer(max_frame_bytes)
            async for piece in content.iter_any():
                for data in buffer.feed(piece):
                    if (error := read_error(data)) is not None:
                        raise error
                    if data:
                        yield data
            if buffer.partial:
                raise MalformedFrames(f"{self.base_url}{path}: the stream ended inside a frame")

    async def lines(
        self, path: str, *, params: Mapping[str, str] | None = None, silence_s: float = SILENCE_S
    ) -> AsyncIterator[bytes]:
        """The lines of an NDJSON stream as they come, heartbeats left out; ends as :meth:`frames` does."""
        async with self._open(path, params, silence_s) as content:
            pending = bytearray()
            async for chunk in content.iter_any():
                pending += chunk
                if len(pending) > MAX_LINE_BYTES:
                    raise MalformedFrames(f"a line is longer than {MAX_LINE_BYTES} bytes")
                *whole, rest = pending.split(b"\n")
                pending = rest
                for line in map(bytes, whole):
                    if (error := read_error(line)) is not None:
                        raise error
                    if line.strip():
                        yield line

    async def _request(
        self,
        method: str,
        path: str,
        body: bytes | AsyncIterator[bytes] | None,
        params: Mapping[str, str] | None,
        timeout_s: float | None,
    ) -> bytes:
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=self.connect_timeout_s)
        try:
            async with self._opened().request(
                method, self.base_url + path, data=body, params=params, timeout=timeout
            ) as answer:
                data = await _read(answer, self._max_answer_bytes)
                if answer.status >= 400:  # noqa: PLR2004 - the first of HTTP's error statuses
                    raise _error(answer.status, data)
                return data
        except aiohttp.ConnectionTimeoutError:
            raise ConnectionFailed(f"{self.base_url}: no connection within {self.connect_timeout_s} s") from None
        except TimeoutError:
            raise TimeoutExceeded(f"{self.base_url}{path}: no answer within {timeout_s} s") from None
        except aiohttp.ClientError as error:
            raise self._failure(error) from None
        except RuntimeError as error:
            if not _is_taken_descriptor(error):
                raise
            raise self._failure(error) from None

    @asynccontextmanager
    async def _open(
        self, path: str, params: Mapping[str, str] | None, silence_s: float, body: bytes | None = None
    ) -> AsyncIterator[aiohttp.StreamReader]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self.connect_timeout_s, sock_read=silence_s)
        method = "GET" if body is None else "POST"
        try:
            async with self._opened().request(
                method, self.base_url + path, data=body, params=params, timeout=timeout
            ) as answer:
                if answer.status >= 400:  # noqa: PLR2004 - the first of HTTP's error statuses
                    raise _error(answer.status, await _read(answer, self._max_answer_bytes))
                yield answer.content
        except TimeoutError:
            raise ConnectionFailed(f"{self.base_url}{path}: nothing heard for {silence_s} s") from None
        except (aiohttp.ClientError, asyncio.IncompleteReadError) as error:
            raise self._failure(error) from None
        except RuntimeError as error:
            if not _is_taken_descriptor(error):
                raise
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> ConnectionFailed:
        if isinstance(error, aiohttp.ClientConnectorCertificateError) and isinstance(
            error.certificate_error, PinMismatch
        ):
            return failed_connection(self.base_url, error.certificate_error)
        return ConnectionFailed(f"{self.base_url}: {_reason(error)}")

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=self._max_connections,
                ssl=self.tls,
                keepalive_timeout=30.0,
                use_dns_cache=True,
                socket_factory=self._socket,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                auto_decompress=False,
                read_bufsize=1024 * 1024,
                max_line_size=16 * 1024,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        made = socket.socket(*address[:3])
        if self._unconfirmed_s is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(self._unconfirmed_s * 1000))
        return made


async def _read(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """The whole body; :class:`AnswerTooLarge` beyond the bound."""
    if answer.content_length is None or answer.content_length > most:
        parts: list[bytes] = []
        size = 0
        async for part in answer.content.iter_any():
            size += len(part)
            if size > most:
                raise AnswerTooLarge(f"{answer.url}: the answer is longer than {most} bytes")
            parts.append(part)
        return b"".join(parts)
    return await answer.read()


def _is_taken_descriptor(error: RuntimeError) -> bool:
    """Whether uvloop refuses a new socket; nothing was sent, and the next attempt has a descriptor of another number.

    Of a connection that was given up while it was made, uvloop may keep the descriptor's number for a while. It refuses
    the next socket that the system gives that number to (MagicStack/uvloop, issue 653).
    """
    return str(error).startswith("File descriptor ")


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionError):
        return f"Cannot connect ({os.strerror(error.os_error.errno or 0)})"
    return str(error)


def _error(status: int, body: bytes) -> GridLedgerError:
    try:
        message = jsontext.loads(body)
    except GridLedgerError:
        message = None
    return from_wire(status, message.get("error") if isinstance(message, dict) else None)


def _load_identity(context: ssl.SSLContext, identity: SigningIdentity) -> None:
    # OpenSSL reads certificate and key from files only. The identity's own folder may be renewed meanwhile; this one is
    # ours alone (0700) and gone after the call.
    with tempfile.TemporaryDirectory(prefix="gridledger-") as made:
        path = Path(made) / "identity.pem"
        path.touch(mode=0o600)
        path.write_bytes(private_key_pem(identity.private_key) + identity.certificate.pem.encode())
        context.load_cert_chain(path)
