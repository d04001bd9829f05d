"""A node's answers as its client reads them, over a real socket with mutual TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI, Request

from gridledger.errors import GridLedgerError, InputError, NotFoundError
from gridledger.transport.node_client import AnswerTooLarge, NodeClient, path_of
from gridledger.web import StreamResponse, json_response

BOUND = 10_000


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 100):
        yield b"x" * 100


def routes(app: FastAPI) -> None:
    @app.get("/whole/{size}")
    async def whole(request: Request, size: int):
        return json_response(b"x" * size)

    @app.get("/who")
    async def who(request: Request):
        return json_response(request.state.caller.name.encode())

    @app.get("/named/{name}")
    async def named(request: Request, name: str):
        return json_response(name.encode())

    @app.get("/chunked/{size}")
    async def chunked(request: Request, size: int):
        return StreamResponse(chunks(size))


@pytest.fixture
async def client(house, start, free_port) -> AsyncIterator[NodeClient]:
    identity, url = house.org.issue("alice", "client"), f"https://localhost:{free_port}"
    async with start(routes=routes), NodeClient(url, identity, house.org.root) as made:
        yield made


async def test_a_renewed_folder_does_not_change_who_connects(house, start, free_port, tmp_path: Path) -> None:
    identity, other = house.org.issue("alice", "client"), house.org.issue("bob", "client")
    identity.save(tmp_path)
    other.save(tmp_path)
    (tmp_path / "key.pem").unlink()
    assert identity.directory == tmp_path
    async with start(routes=routes), NodeClient(f"https://localhost:{free_port}", identity, house.org.root) as client:
        assert await client.get("/who") == b"alice"


@pytest.mark.parametrize("name", ["?®û", "a b", "#1", "100%", "x%2Fy", "…", "a?b=c"])
async def test_a_name_is_one_segment_whatever_it_holds(client: NodeClient, name: str) -> None:
    assert (await client.get(path_of("named", name))).decode() == name


@pytest.mark.parametrize("name", ["../who", "a/../../who", "..\\who"])
async def test_a_name_leads_to_no_other_route(client: NodeClient, name: str) -> None:
    with pytest.raises(NotFoundError):
        await client.get(path_of("absent", name))


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_dots_and_nothing_are_no_names(name: str) -> None:
    with pytest.raises(InputError, match="is no name"):
        path_of("channels", name)


async def test_an_answer_beyond_the_bound_is_refused(client: NodeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_max_answer_bytes", BOUND)
    for path in ("/whole", "/chunked"):
        assert await client.get(f"{path}/{BOUND}") == b"x" * BOUND
        with pytest.raises(AnswerTooLarge, match=f"longer than {BOUND} bytes"):
            await client.get(f"{path}/{BOUND + 100}")
        assert await client.get(f"{path}/100") == b"x" * 100


async def test_an_error_comes_back_as_the_node_raised_it(client: NodeClient) -> None:
    with pytest.raises(GridLedgerError) as caught:
        await client.get("/nowhere")
    assert (caught.value.code, caught.value.status) == ("ROUTE_NOT_FOUND", 404)
