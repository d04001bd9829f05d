"""Metrics of every HTTP edge, in prometheus_client's default registry."""

from __future__ import annotations

from typing import Any

from prometheus_client import Counter, Gauge, Histogram

_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

REQUESTS = Counter("gridledger_http_requests_total", "HTTP requests answered", ("method", "route", "status"))
DURATION = Histogram("gridledger_http_request_seconds", "Time to answer", ("method", "route"), buckets=_BUCKETS_S)
CALLS = Counter("gridledger_http_calls_total", "Calls answered within streams of calls", ("call", "status"))
ACTIVE = Gauge("gridledger_http_requests_active", "HTTP requests being served, streams not counted")
STREAMS = Gauge("gridledger_http_streams_active", "HTTP streams being served")

_MAX_CHILDREN = 2048
_children: dict[tuple[str, str, int], tuple[Any, Any]] = {}
_calls: dict[tuple[str, int], Any] = {}


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request. ``route`` is the route's template, never the path, so that label sets stay few."""
    key = (method, route, status)
    pair = _children.get(key)
    if pair is None:
        pair = (REQUESTS.labels(method, route, str(status)), DURATION.labels(method, route))
        if len(_children) < _MAX_CHILDREN:
            _children[key] = pair
    pair[0].inc()
    pair[1].observe(seconds)


def observe_call(call: str, status: int) -> None:
    """Count one answered call."""
    key = (call, status)
    child = _calls.get(key)
    if child is None:
        child = CALLS.labels(call, str(status))
        if len(_calls) < _MAX_CHILDREN:
            _calls[key] = child
    child.inc()
