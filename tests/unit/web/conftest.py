"""Tests of the edge: a real server, under both event loops."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from tests.support.calls import service
from tests.support.web_server import free_port, house, start

__all__ = ["free_port", "house", "service", "start"]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item):
    """Services run on uvloop, others may not: the edge must hold under both."""
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
