"""The page of one chaincode: its definition, its functions, who endorses, and a form that evaluates a function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from gridledger import jsontext
from gridledger.cli.metadata import DescribedFunction, functions_of, read_metadata
from gridledger.client import Retry, Timeouts
from gridledger.errors import GridLedgerError, InputError, NotFoundError
from gridledger.network.status import NetworkState
from gridledger.protocol.config import ChannelConfig
from services.console.answers import page, page_or_exports
from services.console.callers import read_form
from services.console.console import Console
from services.console.listing import Cell, Column, Listing, Row, url
from services.console.policy_words import policy_in_words
from services.console.rendering import pretty_bounded
from services.console.viewers import Viewer

TRY_S: Final = 10.0
"""Seconds that a function which is tried may take."""

MAX_ARGUMENTS_BYTES: Final = 64 * 1024
MAX_LAYOUTS: Final = 12
_NO_RETRY: Final = Retry(attempts=1)
_FUNCTIONS: Final = (
    Column("function", "function"),
    Column("parameters", "parameters"),
    Column("returns", "returns"),
    Column("kind", "meant to be"),
    Column("description", "what it does", minor=True),
)
_PEERS: Final = (
    Column("peer", "peer"),
    Column("organisation", "organisation"),
    Column("state", "state"),
    Column("hosts", "hosts"),
)


def add_to(router: APIRouter, console: Console) -> None:
    """Add this page, and what evaluates a function."""

    @router.get("/channels/{name}/chaincodes/{chaincode}")
    async def show(name: str, chaincode: str, request: Request) -> Response:
        chosen = request.query_params.get("function", "")
        return await _answer(console, request, name, chaincode, chosen=chosen)

    @router.post("/channels/{name}/chaincodes/{chaincode}/try")
    async def evaluate(name: str, chaincode: str, request: Request) -> Response:
        fields = await read_form(request, request.state.caller)
        console.viewers.require_own()  # a chaincode answers by who asks, which would be the console and not the person
        function, text = fields.get("function", ""), fields.get("arguments", "")
        viewer = console.viewers.of(name)
        _check(viewer.configs[name], chaincode)
        tried: dict[str, Any] = {"chosen": function, "arguments": text}
        try:
            arguments = read_arguments(function, text)
            answer = await _evaluate(viewer, name, chaincode, function, arguments)
            shown = pretty_bounded(answer)
        except GridLedgerError as error:
            return await _answer(console, request, name, chaincode, refused=f"{error.code}: {error.message}", **tried)
        return await _answer(console, request, name, chaincode, outcome=shown, **tried)

    @router.get("/channels/{name}/chaincodes/{chaincode}/try")
    async def again(name: str, chaincode: str, request: Request) -> Response:
        """Where a browser comes when its user loads an answer's address again."""
        return RedirectResponse(f"/channels/{quote(name, safe='')}/chaincodes/{quote(chaincode, safe='')}#try", 303)


async def _evaluate(viewer: Viewer, channel: str, chaincode: str, function: str, arguments: Sequence[Any]) -> Any:
    contract = viewer.network(channel).get_contract(chaincode)
    return await contract.evaluate_transaction(
        function, *arguments, timeouts=Timeouts(evaluate_s=TRY_S), retry=_NO_RETRY
    )


def read_arguments(function: str, text: str) -> list[Any]:
    """The arguments of a call: a JSON list of them; no text is no argument."""
    if not function or len(function) > 256:  # noqa: PLR2004 - no function has a longer name
        raise InputError("choose a function")
    if len(text.encode()) > MAX_ARGUMENTS_BYTES:
        raise InputError(f"the arguments have at most {MAX_ARGUMENTS_BYTES:,} bytes")
    try:
        arguments = jsontext.loads(text.encode()) if text.strip() else []
    except GridLedgerError as error:
        raise InputError(f"the arguments are no JSON: {error.message}") from None
    if not isinstance(arguments, list):
        raise InputError('the arguments are a JSON list, one item an argument, as in ["name", 3]')
    return arguments


_EMPTY: Final[Mapping[str, Any]] = {
    "string": "",
    "integer": 0,
    "number": 0,
    "boolean": False,
    "array": [],
    "object": {},
    "null": None,
}


def skeleton(function: DescribedFunction | None) -> str:
    """Arguments to begin with: an empty value of each required parameter's type."""
    if function is None:
        return "[]"
    values = []
    for parameter in function.parameters:
        if parameter.required and not parameter.repeated:
            kind = min(parameter.types) if parameter.types else "object"
            values.append(_EMPTY.get(kind, ""))
    return jsontext.dumps(values).decode()


async def _answer(
    console: Console, request: Request, name: str, chaincode: str, *, chosen: str = "", **tried: Any
) -> Response:
    viewer = console.viewers.of(name)
    config = viewer.configs[name]
    _check(config, chaincode)
    functions, silent = await _functions(viewer, name, chaincode)
    here = f"/channels/{name}/chaincodes/{chaincode}"
    listings = [
        Listing(
            "functions",
            _FUNCTIONS,
            [function_row(here, item) for item in functions.values()],
            path=here,
            query={"list": "functions"},
            empty=silent or "It tells nothing of its functions.",
        ),
        Listing(
            "peers",
            _PEERS,
            peer_rows(config, chaincode, console.nodes.state),
            path=here,
            query={"list": "peers"},
            empty="The channel has no peer.",
        ),
    ]
    values = {
        "title": f"Chaincode {chaincode} of {name}",
        "here": "Channels",
        "channel": name,
        "chaincode": chaincode,
        "facts": _facts(config, chaincode),
        "layouts": layouts(config, chaincode),
        "names": list(functions),
        "chosen": chosen,
        "described": functions.get(chosen),
        "seen": viewer.label,
        "shared": console.viewers.shared,
        "try_s": TRY_S,
        "arguments": skeleton(functions.get(chosen)),
        "outcome": None,
        "refused": None,
        **tried,
    }
    if tried:
        return page(console, request, "chaincode.html", listings={item.name: item for item in listings}, **values)
    return page_or_exports(console, request, "chaincode.html", listings, **values)


def _check(config: ChannelConfig, chaincode: str) -> None:
    if chaincode not in config.chaincodes:
        known = ", ".join(sorted(config.chaincodes)) or "none"
        raise NotFoundError(f"{config.channel} has no chaincode {chaincode!r:.80}; it has: {known}")


async def _functions(viewer: Viewer, name: str, chaincode: str) -> tuple[dict[str, DescribedFunction], str]:
    """The functions, or why they are not known: no peer that the viewer reaches runs it, say."""
    try:
        return functions_of(await read_metadata(viewer.network(name).get_contract(chaincode))), ""
    except GridLedgerError as error:
        return {}, f"Its functions cannot be asked for: {error.message}"


def _facts(config: ChannelConfig, chaincode: str) -> list[tuple[str, Cell]]:
    item = config.chaincodes[chaincode]
    return [
        ("version", Cell(item.version)),
        ("sequence", Cell(str(item.sequence))),
        ("package", Cell(item.package[:16], whole=item.package)),
        ("endorsement policy", Cell(item.policy)),
        ("who must endorse", Cell(policy_in_words(config.endorsement_policy(chaincode)))),
    ]


def layouts(config: ChannelConfig, chaincode: str) -> list[str]:
    """The smallest sets of organisations whose peers are enough, some of them."""
    count: dict[str, int] = {}
    for node in config.peers.values():
        count[node.mspid] = count.get(node.mspid, 0) + 1
    found = config.endorsement_policy(chaincode).minimal_layouts(count)
    return [" + ".join(layout) for layout in found[:MAX_LAYOUTS]]


def function_row(here: str, item: DescribedFunction) -> Row:
    """A function, with the address that chooses it for the form."""
    return Row(
        {
            "function": Cell(item.name, href=url(here, {"function": item.name}) + "#try"),
            "parameters": Cell(", ".join(map(str, item.parameters)) or "none"),
            "returns": Cell(item.returns),
            "kind": Cell("evaluated" if item.readonly else "submitted"),
            "description": Cell(item.description),
        }
    )


def peer_rows(config: ChannelConfig, chaincode: str, state: NetworkState | None) -> list[Row]:
    """The channel's peers, those that fail first: whether they answer, and how their hosts of the chaincode are where
    they tell it."""
    rows = []
    named = f"{chaincode} {config.chaincodes[chaincode].package[:12]}"
    for node in config.peers.values():
        down = None if state is None else state.down.get(node.name)
        told = None if state is None else state.told.get(node.name)
        hosts = None if told is None or told.chaincodes is None else told.chaincodes.get(named)
        cells = {
            "peer": Cell(node.name),
            "organisation": Cell(node.mspid),
            "state": Cell(f"down: {down}", state="bad") if down else Cell("up" if told is not None else "not told"),
            "hosts": Cell("told to admins of its organisation only"),
        }
        lacks = told is not None and told.chaincodes is not None and not hosts
        if lacks:
            cells["hosts"] = Cell("it runs no host of this package: it cannot endorse", state="bad")
        elif hosts:
            cells["hosts"] = Cell(", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in hosts.items()))
        rows.append(Row(cells, "bad" if down or lacks else ""))
    return sorted(rows, key=lambda row: row.state != "bad")
