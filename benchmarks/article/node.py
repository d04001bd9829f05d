"""A server of the article: ``python -m benchmarks.article.node --port 5004 --nodes URL,URL --relay URL``.

It goes through the phases of the article's figure 1 each time that it is told to (the article's authors did so with
Postman). Its whole chain is in memory, and whole chains go from node to node.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from benchmarks.article.chain import Block, genesis, is_valid, next_block, proof_after, time_of

_WITHIN_S = 120.0
_LARGEST_CHAIN = 2**30


class Stopped(Exception):
    """The algorithm stops: a node or the relay does not answer."""


class Node:
    """One server: its chain, and the nodes that are registered with it."""

    def __init__(self, port: int, nodes: Sequence[str], relay: str, chain: list[Block]) -> None:
        self.name, self.url = f"Red_BKC_NODO_{port}", f"http://127.0.0.1:{port}"
        self._nodes, self._relay, self.chain = nodes, relay, chain
        self.captured: str | None = None
        self.phases: dict[str, float] = {}

    async def collect(self, session: aiohttp.ClientSession) -> str:
        """The phases up to the capture: which case of the article's it is, ``first``, ``new`` or ``repeated``."""
        self.phases, self.captured = {}, None
        await self._timed("internal update", self._update_internally())
        await self._timed("connection", self._connect_to_all(session))
        await self._timed("longest chain", self._take_longest(session))
        text = await self._timed("capture", self._capture(session))
        if len(self.chain) > 1 and time_of(text) == time_of(_information(self.chain[-1])):
            return "repeated"
        self.captured = text
        return "first" if len(self.chain) == 1 else "new"

    async def mine(self, session: aiohttp.ClientSession) -> None:
        """The phases behind the capture: transaction, proof of work, publication."""
        if self.captured is None:
            return
        await self._timed("mining", self._add_block(self.captured))
        self.captured = None
        await self._timed("publication", self._publish(session))

    async def _timed(self, phase: str, work: Any) -> Any:
        begun = time.perf_counter()
        try:
            return await work
        finally:
            self.phases[phase] = time.perf_counter() - begun

    async def _update_internally(self) -> None:
        """Verify the node's own chain; where there is none, begin one."""
        if not self.chain:
            self.chain = [genesis(_now())]
        elif not await asyncio.to_thread(is_valid, self.chain):
            raise Stopped("the node's own chain is not valid")

    async def _connect_to_all(self, session: aiohttp.ClientSession) -> None:
        """Ask one node after another whether it is there; the first that is not stops the algorithm."""
        for url in self._nodes:
            try:
                async with session.get(f"{url}/connect") as answer:
                    answer.raise_for_status()
            except (aiohttp.ClientError, TimeoutError) as error:
                raise Stopped(f"node {url} does not answer ({type(error).__name__})") from None

    async def _take_longest(self, session: aiohttp.ClientSession) -> None:
        """Ask each node for its whole chain; a longer one replaces ours, whatever it holds."""
        for url in self._nodes:
            await self.take_from(session, url)

    async def take_from(self, session: aiohttp.ClientSession, url: str) -> None:
        """Take a node's chain in place of ours where it is longer."""
        async with session.get(f"{url}/get_chain") as answer:
            told = json.loads(await answer.read())
        if told["1_length"] > len(self.chain):
            self.chain = told["2_chain"]

    async def _capture(self, session: aiohttp.ClientSession) -> str:
        try:
            async with session.get(f"{self._relay}/capture") as answer:
                answer.raise_for_status()
                return await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Stopped(f"the relay does not answer ({type(error).__name__})") from None

    async def _add_block(self, text: str) -> None:
        """Mine behind the chain as it is now; what came from elsewhere meanwhile is replaced."""
        chain = self.chain
        proof = await asyncio.to_thread(proof_after, chain[-1]["3_proof"])
        self.chain = [*chain, next_block(chain, _now(), proof, self.name, text)]

    async def _publish(self, session: aiohttp.ClientSession) -> None:
        """Tell each node in turn that there is a longer chain here. Each asks this node only, not all others: the
        cheaper of the two readings of the article."""
        for url in self._nodes:
            async with session.post(f"{url}/update", json={"from": self.url}) as answer:
                answer.raise_for_status()


def _information(block: Block) -> str:
    text: str = block["5_transactions"][0]["C. Informacion"]
    return text


def _now() -> str:
    return str(datetime.now(UTC).replace(tzinfo=None))


def application(node: Node) -> web.Application:
    """The node's HTTP routes. ``/get_chain`` is the article's GetChain; ``/round`` goes through all phases,
    ``/collect`` and ``/mine`` through those before and behind the capture."""
    routes = web.RouteTableDef()
    session: aiohttp.ClientSession

    async def sessions(_: web.Application) -> Any:
        nonlocal session
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_WITHIN_S)) as session:
            yield

    @routes.get("/connect")
    async def connect(_: web.Request) -> web.Response:
        return web.json_response({"node": node.name, "length": len(node.chain)})

    @routes.get("/get_chain")
    async def get_chain(_: web.Request) -> web.Response:
        return web.json_response({"1_length": len(node.chain), "2_chain": node.chain})

    @routes.post("/update")
    async def update(request: web.Request) -> web.Response:
        await node.take_from(session, (await request.json())["from"])
        return web.json_response({"length": len(node.chain)})

    @routes.post("/{what:round|collect|mine}")
    async def advance(request: web.Request) -> web.Response:
        what, told = request.match_info["what"], {}
        try:
            if what != "mine":
                told["case"] = await node.collect(session)
            if what != "collect":
                await node.mine(session)
        except Stopped as stopped:
            told["stopped"] = str(stopped)
        return web.json_response({**told, "length": len(node.chain), "phases": node.phases})

    app = web.Application(client_max_size=_LARGEST_CHAIN)
    app.cleanup_ctx.append(sessions)
    app.add_routes(routes)
    return app


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.article.node", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--nodes", required=True, help="URLs of the other nodes, with commas between them")
    parser.add_argument("--relay", required=True, help="the relay's URL")
    parser.add_argument("--chain", type=Path, help="begin with the chain in this file")
    options = parser.parse_args()
    chain = json.loads(options.chain.read_bytes())["2_chain"] if options.chain else []
    node = Node(options.port, [url for url in options.nodes.split(",") if url], options.relay, chain)
    web.run_app(application(node), host="127.0.0.1", port=options.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
