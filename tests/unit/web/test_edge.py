"""The edge as a client sees it, over real TLS."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import httpx
import pytest
from fastapi import FastAPI, Request

from gridledger.errors import BusyError, ConflictError
from gridledger.web import Limits, ServerTLS, admins_and, json_response, read_body
from gridledger.web.metrics_access import nobody


def echo(app: FastAPI) -> None:
    @app.post("/echo")
    async def post(request: Request):
        body = await read_body(request)
        caller = request.state.caller
        return json_response({"size": len(body), "caller": caller.name, "mspid": caller.mspid, "role": caller.role})

    @app.post("/small")
    async def small(request: Request):
        return json_response({"size": len(await read_body(request, max_bytes=10))})

    @app.get("/conflict")
    async def conflict(request: Request):
        raise ConflictError("it is taken", code="TAKEN", holder="org2")

    @app.get("/busy")
    async def busy(request: Request):
        raise BusyError("the queue is full", retry_after_s=2.5)

    @app.get("/defect")
    async def defect(request: Request):
        raise ZeroDivisionError("a secret of the inside")

    @app.get("/open/{name}/door")
    async def door(request: Request):
        return json_response({"caller": request.state.caller})


def error_of(response: httpx.Response) -> dict:
    return response.json()["error"]


async def test_the_caller_is_who_the_certificate_says(house, start):
    async with start(routes=echo) as running, running.client(house.org.issue("alice", "client")) as client:
        answer = await client.post("/echo", content=b"x" * 1000)
    assert answer.json() == {"size": 1000, "caller": "alice", "mspid": "Org1MSP", "role": "client"}


async def test_without_a_certificate_only_open_routes_answer(start):
    async with start(routes=echo, open_routes=["/open/{name}/door"]) as running, running.client(None) as client:
        assert (await client.get("/healthz")).json() == {"service": "test", "node": "node1", "status": "ok"}
        assert (await client.get("/version")).json()["service"] == "test"
        assert (await client.get("/open/any/door")).json() == {"caller": None}
        for path in ("/echo", "/metrics", "/open/any/door/more", "/open/door", "/healthz/", "/nowhere"):
            refused = await client.post(path, content=b"x")
            assert refused.status_code == 401
            assert error_of(refused)["code"] == "CLIENT_CERTIFICATE_REQUIRED"


async def test_an_expired_certificate_is_told_so(house, start):
    late = house.org.issue("late", "client", not_after=datetime.now(UTC) - timedelta(days=1))
    async with start(routes=echo) as running, running.client(late) as client:
        refused = await client.post("/echo", content=b"x")
    assert refused.status_code == 401
    assert error_of(refused)["code"] == "CERTIFICATE_EXPIRED"


async def test_a_foreign_certificate_fails_in_the_handshake(house, start):
    mallory = house.foreign.issue("mallory", "client")
    async with start(routes=echo) as running:
        async with running.client(mallory) as client:
            with pytest.raises(httpx.TransportError):
                await client.post("/echo", content=b"x")
        reader, writer = await running.raw(mallory)
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        with contextlib.suppress(ssl.SSLError, ConnectionError):  # event loops differ in how they show the alert
            assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_an_authority_that_only_tls_trusts_is_refused(house, start):
    async with start(routes=echo) as running:
        cast("ServerTLS", running.server.tls).extend_roots(house.foreign.root)
        async with running.client(house.foreign.issue("neighbour", "client")) as client:
            refused = await client.post("/echo", content=b"x")
    assert refused.status_code == 401
    assert error_of(refused)["code"] == "UNKNOWN_AUTHORITY"


async def test_a_revocation_bites_on_an_open_connection(house, start):
    alice = house.org.issue("alice", "client")
    async with start(routes=echo) as running, running.client(alice) as client:
        assert (await client.post("/echo", content=b"x")).status_code == 200
        house.revoke(alice)
        refused = await client.post("/echo", content=b"x")
    assert refused.status_code == 401
    assert error_of(refused)["code"] == "CERTIFICATE_REVOKED"


async def test_a_certificate_without_a_role_is_refused(house, start):
    async with start(routes=echo) as running, running.client(house.org.issue("odd", "gardener")) as client:
        assert error_of(await client.post("/echo", content=b"x"))["code"] == "ROLE_MISSING"


async def test_errors_are_bodies_with_code_and_details(house, start, caplog):
    async with start(routes=echo) as running, running.client(house.org.issue("alice", "client")) as client:
        conflict = await client.get("/conflict")
        assert (conflict.status_code, error_of(conflict)) == (
            409,
            {"code": "TAKEN", "message": "it is taken", "details": {"holder": "org2"}},
        )
        busy = await client.get("/busy")
        assert (busy.status_code, busy.headers["retry-after"]) == (429, "3")
        defect = await client.get("/defect")
        assert (defect.status_code, error_of(defect)["code"]) == (500, "INTERNAL")
        assert "secret" not in defect.text
        assert [record.exc_info is not None for record in caplog.records if record.levelname == "ERROR"] == [True]
        nowhere = await client.get("/nowhere")
        assert (nowhere.status_code, error_of(nowhere)["code"]) == (404, "ROUTE_NOT_FOUND")
        wrong = await client.get("/echo")
        assert (wrong.status_code, error_of(wrong)["code"]) == (405, "METHOD_NOT_ALLOWED")


async def test_a_long_body_is_refused_by_its_length(house, start):
    alice = house.org.issue("alice", "client")
    async with start(Limits(max_body_bytes=1000), echo) as running, running.client(alice) as client:
        refused = await client.post("/echo", content=b"x" * 1001)
        assert refused.status_code == 413
        assert error_of(refused) == {
            "code": "BODY_TOO_LARGE",
            "message": "the body is longer than 1000 bytes",
            "details": {"max_bytes": 1000},
        }
        assert (await client.post("/echo", content=b"x" * 1000)).status_code == 200
        tighter = await client.post("/small", content=b"x" * 11)
        assert (tighter.status_code, error_of(tighter)["details"]) == (413, {"max_bytes": 10})


async def test_a_long_body_without_length_is_refused_while_it_streams(house, start):
    chunks = 0

    async def body():
        nonlocal chunks
        while chunks < 200_000:
            chunks += 1
            yield b"x" * 1000

    limits, alice = Limits(max_body_bytes=100_000, drain_s=0.2), house.org.issue("alice", "client")
    async with start(limits, echo) as running, running.client(alice) as client:
        try:
            refused = await client.post("/echo", content=body())
            assert refused.status_code == 413
        except httpx.TransportError:
            pass  # the connection was closed under the sender after the answer; the bound held
        assert chunks < 50_000
        assert (await client.post("/echo", content=b"x")).status_code == 200


async def test_a_client_that_stops_at_the_bound_reads_the_answer(house, start):
    async with start(Limits(max_body_bytes=1000), echo) as running:
        reader, writer = await running.raw(house.org.issue("alice", "client"))
        writer.write(b"POST /echo HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
        writer.write(b"7d0\r\n" + b"x" * 2000 + b"\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert head.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in head
        assert json.loads(await asyncio.wait_for(reader.read(), 5))["error"]["code"] == "BODY_TOO_LARGE"
        writer.close()


async def test_a_request_too_many_is_busy(house, start):
    entered, leave = asyncio.Event(), asyncio.Event()

    def routes(app: FastAPI) -> None:
        @app.get("/slow")
        async def slow(request: Request):
            entered.set()
            await leave.wait()
            return json_response({})

    async with (
        start(Limits(max_requests=1), routes) as running,
        running.client(house.org.issue("alice", "client")) as client,
    ):
        first = asyncio.create_task(client.get("/slow"))
        await asyncio.wait_for(entered.wait(), 5)
        busy = await client.get("/slow")
        assert (busy.status_code, error_of(busy)["code"], busy.headers["retry-after"]) == (429, "BUSY", "1")
        assert (await client.get("/healthz")).status_code == 200
        leave.set()
        assert (await first).status_code == 200
        assert (await client.get("/slow")).status_code == 200


async def test_metrics_count_by_route_and_need_a_certificate(house, start):
    async with start(routes=echo) as running, running.client(house.org.issue("alice", "client")) as client:
        await client.get("/conflict")
        text = (await client.get("/metrics")).text
    assert 'gridledger_http_requests_total{method="GET",route="/conflict",status="409"}' in text


async def test_metrics_are_for_admins_and_whom_the_settings_name(house, start):
    async with start() as running:
        for name, role, status in (
            ("alice", "client", 200),
            ("someone", "admin", 200),
            ("bob", "client", 403),
            ("peer1", "peer", 403),
        ):
            async with running.client(house.org.issue(name, role)) as client:
                assert (await client.get("/metrics")).status_code == status, name


@pytest.mark.parametrize(
    ("mspid", "name", "role", "may"),
    [
        ("Org1MSP", "root", "admin", True),
        ("Org2MSP", "root", "admin", False),
        ("Org2MSP", "prometheus", "client", True),
        ("Org1MSP", "prometheus", "client", False),
        ("Org1MSP", "root", "client", False),
    ],
)
def test_an_admin_of_another_organisation_reads_no_metrics(mspid, name, role, may):
    caller = SimpleNamespace(mspid=mspid, name=name, role=role)
    assert admins_and(["Org2MSP/prometheus"], ["Org1MSP"])(caller) is may


async def test_a_service_that_names_nobody_gives_nobody_metrics(house, start):
    async with start(may_read_metrics=nobody) as running, running.client(house.org.issue("root", "admin")) as client:
        refused = await client.get("/metrics")
    assert (refused.status_code, error_of(refused)["code"]) == (403, "PERMISSION_DENIED")
