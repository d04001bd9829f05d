"""Which light node is asked for a device: the one that says so, until it is away."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gridledger.errors import NotFoundError, UnavailableError
from gridledger.transport.node_client import ConnectionFailed
from services.case.light_node_clients import LightNodeClients


class Node:
    """A light node that speaks for some devices; away where it is told so."""

    def __init__(self, *devices: str) -> None:
        self.devices = devices
        self.is_away = False
        self.asked: list[str] = []

    async def get(self, path: str, *, params: Mapping[str, str], timeout_s: float) -> bytes:
        assert timeout_s > 0
        self.asked.append(path)
        if self.is_away:
            raise ConnectionFailed("away")
        if params["device"] not in self.devices:
            raise NotFoundError("no such device", code="DEVICE_UNKNOWN")
        return b'{"asked":true}'


def clients(**nodes: Node) -> LightNodeClients:
    made = LightNodeClients({}, None, "")  # type: ignore[arg-type]
    made._clients = nodes  # type: ignore[assignment]
    return made


async def test_the_node_that_speaks_for_a_device_is_found_once_and_again_when_it_was_away() -> None:
    first, second = Node("pmu-1"), Node("pmu-2")
    found = clients(first=first, second=second)
    assert await found.get_json("pmu-2", "/batches/1/rows", {"device": "pmu-2"}) == {"asked": True}
    await found.get("pmu-2", "/batches/2/rows", {"device": "pmu-2"})
    assert first.asked == ["/events"]
    assert second.asked == ["/events", "/batches/1/rows", "/batches/2/rows"]
    second.is_away = True
    with pytest.raises(UnavailableError, match="away"):
        await found.get("pmu-2", "/batches/3/rows", {"device": "pmu-2"})
    with pytest.raises(UnavailableError, match=r"no light node that answers speaks for pmu-2 \(second: away\)"):
        await found.get("pmu-2", "/batches/3/rows", {"device": "pmu-2"})
    second.is_away = False
    await found.get("pmu-2", "/batches/3/rows", {"device": "pmu-2"})


async def test_a_refusal_is_told_as_it_is_and_nobody_else_is_asked() -> None:
    node = Node("pmu-1")
    found = clients(node=node)
    with pytest.raises(NotFoundError):
        await found.get("pmu-1", "/batches/1/rows", {"device": "pmu-9"})
    assert node.asked == ["/events", "/batches/1/rows"]
    with pytest.raises(UnavailableError, match="there is none"):
        await clients().get("pmu-1", "/events/1/body", {"device": "pmu-1"})
