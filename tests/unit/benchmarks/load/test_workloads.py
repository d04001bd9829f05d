"""What the workloads send, and over which of their streams."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from benchmarks.load.plan import LoadStream
from benchmarks.load.workloads import Workload, arguments_of, payload_bytes


class Contract:
    """Stands where the SDK's contract does; a call ends when it is let."""

    def __init__(self, log: list[Any], name: str, gate: asyncio.Event | None = None) -> None:
        self._log, self._name, self._gate = log, name, gate

    def get_network(self, _channel: str) -> Contract:
        return self

    get_contract = get_network

    async def submit_transaction(self, function: str, *args: Any) -> None:
        self._log.append((self._name, function, args))
        if self._gate is not None:
            await self._gate.wait()

    async def evaluate_transaction(self, function: str, *args: Any) -> None:
        self._log.append((self._name, f"evaluate {function}", args))


def stream(function: str, argument: dict[str, Any], url: str = "a", **changes: Any) -> LoadStream:
    return LoadStream(
        url=url, channel="c", chaincode="kv", identity="me", function=function, argument=argument, **changes
    )


def test_arguments() -> None:
    assert arguments_of(stream("put", {"bytes": 5}))(12) == ("bench/12", "xxxxx")
    assert arguments_of(stream("ComputeVSI", {"group": "1", "time": 1000}))(12) == ({"group": "1", "time": 1012},)
    assert arguments_of(stream("GetGroup", {"group": "2"}))(12) == ({"group": "2"},)
    keys = {arguments_of(stream("add", {"keys": 7}))(number)[0] for number in range(50)}
    assert len(keys) == 1  # each call made anew begins with the same seed
    add = arguments_of(stream("add", {"keys": 7}), seed="3")
    assert {add(number) for number in range(100)} == {(f"counter/{key}", 1) for key in range(7)}


def test_payload_is_the_arguments_json() -> None:
    assert payload_bytes([stream("put", {"bytes": 100})]) == len('["bench/1000000000000","') + 100 + len('"]')


async def test_streams_take_turns_and_engines_begin_at_different_ones() -> None:
    log: list[Any] = []
    streams = [stream("put", {"bytes": 1}, url) for url in "abcd"]
    for index in (0, 1):
        workload = Workload(streams, lambda each: Contract(log, each.url), index=index, count=2)  # type: ignore[arg-type,return-value]
        for number in range(5):
            await workload.send(number)
    assert "".join(name for name, _, _ in log) == "abcda" + "cdabc"


async def test_streams_and_engines_do_not_choose_the_same_keys() -> None:
    log: list[Any] = []
    streams = [stream("add", {"keys": 10**6}, url) for url in "abcd"]
    for index in (0, 1):
        workload = Workload(streams, lambda each: Contract(log, each.url), index=index, count=2)  # type: ignore[arg-type,return-value]
        for number in range(40):
            await workload.send(number)
    assert len({args[0] for _, _, args in log}) == 80


async def test_queries_are_evaluated() -> None:
    log: list[Any] = []
    one = stream("GetGroup", {"group": "1"}, readonly=True)
    await Workload([one], lambda each: Contract(log, each.url), index=0, count=1).send(1)  # type: ignore[arg-type,return-value]
    assert log == [("a", "evaluate GetGroup", ({"group": "1"},))]


async def test_an_exclusive_stream_is_used_again_when_it_is_free() -> None:
    log: list[Any] = []
    gates = {url: asyncio.Event() for url in "abcd"}
    streams = [stream("ComputeVSI", {"time": 0}, url, exclusive=True) for url in "abcd"]
    workload = Workload(streams, lambda each: Contract(log, each.url, gates[each.url]), index=1, count=2)  # type: ignore[arg-type,return-value]
    sending = [asyncio.create_task(workload.send(number)) for number in range(4)]
    await asyncio.sleep(0)
    assert [name for name, _, _ in log] == ["b", "d"]
    gates["d"].set()
    await asyncio.gather(sending[1], sending[2])
    assert [name for name, _, _ in log] == ["b", "d", "d", "d"]
    gates["b"].set()
    await asyncio.gather(*sending)
    with pytest.raises(ValueError, match="too many"):
        Workload(streams[:1], lambda each: Contract(log, each.url), index=1, count=2)  # type: ignore[arg-type,return-value]
