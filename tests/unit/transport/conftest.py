"""Tests of clients against a real server, under both event loops."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from tests.support.calls import service
from tests.support.web_server import free_port, house, start

__all__ = ["free_port", "house", "service", "start"]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item):
    """Nodes run on uvloop, a client's program may not: a client must hold under both."""
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
