"""The pages of blocks: the newest ones, and one with its transactions."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from gridledger.errors import GridLedgerError
from gridledger.protocol.headers import CommittedHeader
from gridledger.protocol.proposal import creator_certificate
from gridledger.web import WholeNumber
from services.console.answers import page_or_export
from services.console.console import Console
from services.console.listing import Cell, Column, Listing, Row

PAGE: Final = 50
_BLOCKS: Final = (
    Column("number", "block", numeric=True),
    Column("time", "ordered at"),
    Column("transactions", "transactions", numeric=True),
    Column("invalid", "invalid", numeric=True),
    Column("orderer", "signed by", minor=True),
    Column("hash", "header's hash"),
    Column("commit_hash", "commit hash", minor=True),
)
_TRANSACTIONS: Final = (
    Column("place", "place", numeric=True),
    Column("tx_id", "transaction"),
    Column("code", "code"),
    Column("what", "function"),
    Column("who", "client"),
    Column("event", "event", minor=True),
    Column("writes", "writes", numeric=True, minor=True),
)


def add_to(router: APIRouter, console: Console) -> None:
    """Add these pages."""

    @router.get("/channels/{name}/blocks")
    async def blocks(
        name: str, request: Request, before: Annotated[WholeNumber | None, Query(ge=1)] = None
    ) -> Response:
        viewer = console.viewers.of(name)
        network = viewer.network(name)
        height = (await network.get_chain_info()).height
        end = height if before is None else min(before, height)
        start = max(0, end - PAGE)
        headers = await network.get_headers(start, limit=end - start) if end > start else None
        flow = console.followers.flows.get(name)
        seen = {} if flow is None else {block.number: block for block in flow.blocks}
        orderers = viewer.configs[name].orderers_by_fingerprint
        rows = [
            _block_row(name, item, orderers, seen.get(item.header.number))
            for item in reversed(headers.items if headers is not None else ())
        ]
        listing = Listing(
            f"blocks-{name}",
            _BLOCKS,
            rows,
            path=f"/channels/{name}/blocks",
            query={} if before is None else {"before": str(before)},
            next_query={"before": str(start)} if start > 0 else None,
        )
        return page_or_export(
            console,
            request,
            "blocks.html",
            listing,
            title=f"Blocks of {name}",
            here="Channels",
            channel=name,
            height=height,
            newest=before is None,
            seen=viewer.label,
        )

    @router.get("/channels/{name}/blocks/{number}")
    async def block(name: str, number: Annotated[WholeNumber, Path()], request: Request) -> Response:
        viewer = console.viewers.of(name)
        opened = await viewer.network(name).get_opened_block(number)
        config = viewer.configs[name]
        rows = [_transaction_row(name, place, item) for place, item in enumerate(opened["transactions"])]
        listing = Listing(f"block-{name}-{number}", _TRANSACTIONS, rows, path=f"/channels/{name}/blocks/{number}")
        header = opened["header"]
        orderer = config.orderers_by_fingerprint.get(opened["orderer"] or "")
        facts = [
            ("ordered at", Cell("", at_us=header["timestamp"])),
            ("header's hash", Cell(opened["hash"][:16], whole=opened["hash"])),
            ("header before", Cell(header["previous_hash"][:16], whole=header["previous_hash"])),
            ("data hash (root of the transactions)", Cell(header["data_hash"][:16], whole=header["data_hash"])),
            ("commit hash of the peer", Cell(opened["commit_hash"][:16], whole=opened["commit_hash"])),
            ("header signed by", _signer(orderer, opened["orderer"])),
        ]
        return page_or_export(
            console,
            request,
            "block.html",
            listing,
            title=f"Block {number:,} of {name}",
            here="Channels",
            channel=name,
            number=number,
            facts=facts,
            seen=viewer.label,
        )


def common_name(creator: str) -> str:
    """The common name in a proposal's creator; what is no certificate is told as such."""
    try:
        return creator_certificate(creator).common_name
    except GridLedgerError:
        return "no certificate"


def _signer(orderer: Any, fingerprint: str | None) -> Cell:
    if fingerprint is None:
        return Cell("nobody: it is the first block")
    if orderer is None:
        return Cell(f"{fingerprint[:16]}, no orderer of the present configuration", whole=fingerprint)
    return Cell(f"{orderer.name} of {orderer.mspid}", whole=fingerprint)


def _block_row(channel: str, item: CommittedHeader, orderers: Any, seen: Any) -> Row:
    header, signature = item.header, item.signature
    orderer = None if signature is None else orderers.get(signature.orderer)
    cells = {
        "number": Cell(f"{header.number:,}", value=header.number, href=f"/channels/{channel}/blocks/{header.number}"),
        "time": Cell("", value=header.timestamp_us, at_us=header.timestamp_us),
        "orderer": _signer(orderer, None if signature is None else signature.orderer),
        "hash": Cell(header.hash[:12], whole=header.hash),
        "commit_hash": Cell(item.commit_hash[:12], whole=item.commit_hash),
    }
    if seen is not None:
        cells["transactions"] = Cell(f"{seen.transactions:,}", value=seen.transactions)
        cells["invalid"] = Cell(f"{seen.invalid:,}", value=seen.invalid, state="warn" if seen.invalid else "")
    return Row(cells)


def _transaction_row(channel: str, place: int, item: dict[str, Any]) -> Row:
    tx_id, valid = item["tx_id"], item["code_name"] == "VALID"
    proposal, result = item.get("proposal"), item.get("result")
    cells = {
        "place": Cell(str(place), value=place),
        "tx_id": Cell(tx_id[:16] or "none", whole=tx_id or None, href=f"/channels/{channel}/transactions/{tx_id}")
        if tx_id
        else Cell("no id: it cannot be read"),
        "code": Cell(item["code_name"], state="" if valid else "bad"),
        "what": Cell("configuration" if "config" in item else ""),
    }
    if proposal is not None and result is not None:
        cells["what"] = Cell(f"{proposal['chaincode']}.{proposal['function']}")
        cells["who"] = Cell(common_name(proposal["creator"]))
        cells["event"] = Cell("" if result["event"] is None else result["event"]["name"])
        cells["writes"] = Cell(str(len(result["writes"])), value=len(result["writes"]))
    return Row(cells, "" if valid else "bad")
