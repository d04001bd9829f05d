"""A service's application: declared parameters of its routes, and its health."""

from __future__ import annotations

from typing import Annotated

import pytest
from fastapi import FastAPI, Path, Query, Request

from gridledger.web import WholeNumber, json_response


def routes(app: FastAPI) -> None:
    @app.get("/blocks/{number}")
    async def block(
        request: Request,
        number: Annotated[WholeNumber, Path()],
        start: Annotated[WholeNumber | None, Query(alias="from")] = None,
    ):
        return json_response({"number": number, "from": start})


async def test_declared_parameters_reach_the_route(start, house):
    async with start(routes=routes) as running, running.client(house.org.issue("client", "client")) as client:
        assert (await client.get(f"/blocks/{2**63 - 1}?from=0")).json() == {"number": 2**63 - 1, "from": 0}
        assert (await client.get("/blocks/3")).json() == {"number": 3, "from": None}


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/blocks/x", "path.number"),
        (f"/blocks/{2**63}", "path.number"),
        ("/blocks/3?from=-1", "query.from"),
        ("/blocks/3?from=nan", "query.from"),
        (f"/blocks/3?from={'9' * 5000}", "query.from"),
    ],
)
async def test_a_wrong_parameter_is_named_in_our_error(start, house, path, named):
    async with start(routes=routes) as running, running.client(house.org.issue("client", "client")) as client:
        answer = await client.get(path)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["details"]) == (400, "BAD_REQUEST", {})
        assert error["message"].startswith(f"{named}: ")


async def test_health_that_is_not_ok_is_503(start):
    async with start(health=lambda: {"status": "starting", "height": 3}) as running, running.client(None) as client:
        answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()["height"]) == (503, 3)
