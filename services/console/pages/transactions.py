"""The page of one transaction: everything in it, and its proof step by step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from gridledger import jsontext
from gridledger.client.proofs import ChannelTrust, prove_transaction
from gridledger.errors import GridLedgerError
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.proof import ProvedTransaction
from services.console.answers import page
from services.console.callers import read_form
from services.console.console import Console
from services.console.listing import Cell, Column, Listing, Row, url
from services.console.opened import Opened, config_of, open_envelope
from services.console.proof_steps import proof_steps

MAX_KEYS: Final = 500
"""Reads, and writes, that the page shows of one transaction."""

MAX_ARGUMENTS: Final = 32
_WRITES: Final = (Column("key", "key"), Column("value", "value"))
_READS: Final = (Column("key", "key"), Column("version", "version seen (block.place)"))
_PROVE: Final = "/channels/{name}/transactions/{tx_id}/prove"


def add_to(router: APIRouter, console: Console) -> None:
    """Add this page, and what asks all peers."""

    @router.get("/channels/{name}/transactions/{tx_id}")
    async def transaction(name: str, tx_id: str, request: Request) -> Response:
        return await _answer(console, request, name, tx_id)

    @router.post(_PROVE)
    async def prove(name: str, tx_id: str, request: Request) -> Response:
        await read_form(request, request.state.caller)
        viewer = console.viewers.of(name)
        trust = ChannelTrust.by_profile(console.viewers.profile, name)
        try:
            proof = await prove_transaction(trust, viewer.identity, tx_id)
        except GridLedgerError as error:
            return await _answer(console, request, name, tx_id, refused=error.message)
        vouched = f"{proof.transaction.code.name}: {', '.join(proof.organisations)} say so; {proof.needed} were needed"
        others = [f"{peer}: {why}" for peer, why in sorted(proof.others.items())]
        return await _answer(console, request, name, tx_id, vouched=vouched, others=others)


async def _answer(console: Console, request: Request, name: str, tx_id: str, **asked: Any) -> Response:
    viewer = console.viewers.of(name)
    proved = await viewer.network(name).get_transaction(tx_id)
    config, opened = viewer.configs[name], open_envelope(proved.envelope)
    reads, writes = _reads(name, opened), _writes(name, opened)
    return page(
        console,
        request,
        "transaction.html",
        title=f"Transaction {tx_id[:12]}",
        here="Channels",
        channel=name,
        tx_id=tx_id,
        proved=proved,
        opened=opened,
        facts=_facts(name, proved, opened, config),
        steps=proof_steps(proved, config, opened.transaction),
        config=None if opened.update is None else config_of(opened.update),
        reads=replace(reads, rows=reads.rows[:MAX_KEYS]),
        writes=replace(writes, rows=writes.rows[:MAX_KEYS]),
        more_reads=_more(reads),
        more_writes=_more(writes),
        max_arguments=MAX_ARGUMENTS,
        seen=viewer.label,
        **{"refused": None, "vouched": None, "others": [], **asked},
    )


def _facts(name: str, proved: ProvedTransaction, opened: Opened, config: ChannelConfig) -> list[tuple[str, Cell]]:
    code = proved.code.name
    facts = [
        ("id", Cell(proved.tx_id[:24], whole=proved.tx_id)),
        ("code", Cell(code, state="good" if code == "VALID" else "bad")),
        (
            "block",
            Cell(
                f"{proved.block:,}, place {proved.index} of {proved.count}",
                href=f"/channels/{name}/blocks/{proved.block}",
            ),
        ),
        ("ordered at", Cell("", at_us=proved.header.timestamp_us)),
    ]
    if opened.transaction is not None and opened.creator is not None:
        proposal, creator = opened.transaction.proposal, opened.creator
        attributes = ", ".join(f"{key}={value}" for key, value in sorted(creator.attributes.items()))
        try:
            mspid = config.msps.identify(creator, proved.header.timestamp_us).mspid
        except GridLedgerError as error:
            mspid = error.message
        facts += [
            ("proposed at", Cell("", at_us=proposal.time_us)),
            ("client", Cell(f"{creator.subject} @ {mspid}", whole=creator.fingerprint)),
            ("client's attributes", Cell(attributes or "none")),
            ("chaincode", Cell(proposal.chaincode, href=f"/channels/{name}/chaincodes/{proposal.chaincode}")),
            ("function", Cell(proposal.function)),
        ]
    return facts


def _reads(name: str, opened: Opened) -> Listing:
    rows: list[Row] = []
    if opened.transaction is not None:
        result = opened.transaction.result
        for read in (*result.reads, *(read for scan in result.ranges for read in scan.reads)):
            version = "it did not exist" if read.version is None else f"{read.version.block}.{read.version.transaction}"
            rows.append(Row({"key": _key(name, result.chaincode, read.key), "version": Cell(version)}))
    return Listing("reads", _READS, rows, empty="It read nothing.")


def _writes(name: str, opened: Opened) -> Listing:
    rows: list[Row] = []
    if opened.transaction is not None:
        result = opened.transaction.result
        for key, value in result.writes:
            text = "deleted" if value is None else _text(value)
            rows.append(Row({"key": _key(name, result.chaincode, key), "value": Cell(text, value=value)}))
    return Listing("writes", _WRITES, rows, empty="It wrote nothing.")


def _more(listing: Listing) -> str:
    count = len(listing.rows)
    return f": the first {MAX_KEYS:,} of {count:,}" if count > MAX_KEYS else ""


def _key(channel: str, chaincode: str, key: str) -> Cell:
    return Cell(key, href=url(f"/channels/{channel}/keys", {"chaincode": chaincode, "key": key}))


def _text(value: Any) -> str:
    return jsontext.dumps(value).decode()
