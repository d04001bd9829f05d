"""The bounds of an HTTP edge."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process takes on at once. Beyond a bound callers get 429 or 413, or the connection is closed.

    ``max_body_bytes`` bounds every request's body (a route may ask for less when it reads); ``max_requests`` the
    requests being served, not counting streams, which ``max_streams`` bounds. ``request_timeout_s`` is the time a
    client has to send a whole request, ``keep_alive_s`` how long an idle connection stays open, ``drain_s`` how long a
    refused body is read on.
    """

    max_body_bytes: int = 8 * 1024 * 1024
    max_requests: int = 512
    max_streams: int = 256
    max_connections: int = 2048
    max_header_bytes: int = 64 * 1024
    request_timeout_s: float = 30.0
    keep_alive_s: int = 75
    drain_s: float = 1.0
    retry_after_s: float = 0.2
