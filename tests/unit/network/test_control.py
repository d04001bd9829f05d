"""The control socket: requests, answers, and what a caller may not do to it."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gridledger.errors import BusyError, NotFoundError, UnavailableError
from gridledger.network.control import MAX_COMMANDS, ask, control_socket
from gridledger.network.folder import NetworkFolder
from gridledger.network.lock import locked


@pytest.fixture
def folder(tmp_path: Path) -> NetworkFolder:
    return NetworkFolder(tmp_path)


async def handle(do: str, name: str) -> Any:
    if do == "hang":
        await asyncio.Event().wait()
    if do == "fail":
        raise NotFoundError(f"there is no process {name}", code="NO_PROCESS")
    return {"did": do, "name": name}


@pytest_asyncio.fixture
async def served(folder: NetworkFolder) -> AsyncIterator[NetworkFolder]:
    async with control_socket(folder, handle):
        yield folder


async def _say(folder: NetworkFolder, data: bytes) -> dict[str, Any]:
    """Send bytes as they are; the answer."""
    reader, writer = await asyncio.open_unix_connection(str(folder.control_socket))
    try:
        writer.write(data)
        return dict(json.loads(await reader.readline()))
    finally:
        writer.close()


async def test_an_answer_and_an_error_come_back(served: NetworkFolder) -> None:
    assert await asyncio.to_thread(ask, served, "stop", "peer1") == {"did": "stop", "name": "peer1"}
    with pytest.raises(NotFoundError, match="there is no process x") as caught:
        await asyncio.to_thread(ask, served, "fail", "x")
    assert caught.value.code == "NO_PROCESS"


async def test_the_socket_is_for_its_owner_and_goes_at_the_end(folder: NetworkFolder) -> None:
    async with control_socket(folder, handle):
        assert stat.S_IMODE(folder.control_socket.stat().st_mode) == 0o600
    assert not folder.control_socket.exists()


async def test_a_killed_supervisors_socket_is_replaced(folder: NetworkFolder) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder.control_socket))
    async with control_socket(folder, handle):
        assert await asyncio.to_thread(ask, folder, "states") == {"did": "states", "name": ""}


async def test_a_folder_with_a_long_path_has_a_socket_too(tmp_path: Path) -> None:
    folder = NetworkFolder(tmp_path / ("x" * 100) / ("y" * 100))
    folder.root.mkdir(parents=True)
    async with control_socket(folder, handle):
        assert await asyncio.to_thread(ask, folder, "stop", "ca") == {"did": "stop", "name": "ca"}


@pytest.mark.parametrize(
    "request_line",
    [
        b"nonsense\n",
        b"[]\n",
        b"{}\n",
        b'{"do": 1}\n',
        b'{"do": "stop", "name": null}\n',
        b'{"do": "stop", "do": "start"}\n',
        b"\xff\n",
        b"x" * 5000 + b"\n",
        b"[" * 4000 + b"\n",
    ],
)
async def test_what_is_no_request_is_refused_in_one_line(served: NetworkFolder, request_line: bytes) -> None:
    answer = await _say(served, request_line)
    assert answer["status"] == 400
    assert "\n" not in answer["error"]["message"]


async def test_too_many_at_once_are_told_so(served: NetworkFolder) -> None:
    hanging = [asyncio.create_task(_say(served, b'{"do": "hang"}\n')) for _ in range(MAX_COMMANDS)]
    try:
        async with asyncio.timeout(10):
            while True:
                try:
                    await asyncio.to_thread(ask, served, "states")
                except BusyError:
                    break
    finally:
        for task in hanging:
            task.cancel()
        await asyncio.wait(hanging)


async def test_what_is_worked_on_at_the_end_is_given_up(folder: NetworkFolder) -> None:
    begun = asyncio.Event()

    async def hang(do: str, name: str) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with control_socket(folder, hang):
        asking = asyncio.create_task(asyncio.to_thread(ask, folder, "stop", "peer1"))
        await asyncio.wait_for(begun.wait(), 10)
    with pytest.raises(UnavailableError, match="is not running"):
        await asking


def test_nobody_there_is_told_with_what_to_do(folder: NetworkFolder) -> None:
    with pytest.raises(UnavailableError, match=r"is not running; start it first \(gridledger up\)"):
        ask(folder, "states")
    with locked(folder), pytest.raises(UnavailableError, match="takes no commands now"):
        ask(folder, "states")
