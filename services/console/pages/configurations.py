"""The page of a channel's configurations: each config block with who signed it and what it changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from gridledger.client import Network
from gridledger.errors import GridLedgerError, NotFoundError
from gridledger.identity.certificate import Certificate
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.config_authority import changes
from gridledger.protocol.config_update import ConfigUpdate, parse_envelope
from gridledger.protocol.search import CONFIG, TransactionFilter
from services.console.answers import page_or_export
from services.console.console import Console
from services.console.listing import Cell, Column, Listing, Row

PAGE: Final = 10
MAX_CHANGES: Final = 40
_AT_ONCE: Final = 4
_LACKING: Final = (
    "The peer at the gateway is of an earlier version and cannot find config blocks: what lies between block 0 and the "
    "present configuration is not shown."
)
_COLUMNS: Final = (
    Column("sequence", "sequence", numeric=True),
    Column("block", "block", numeric=True),
    Column("time", "ordered at"),
    Column("code", "code"),
    Column("signed", "signed by"),
    Column("changes", "changes to the one before"),
)


@dataclass(frozen=True, slots=True)
class Configuration:
    """One config transaction. ``block`` is None for the present one where its block is not known; ``signers`` are those
    whose signatures hold; ``fault`` says why it cannot be read."""

    block: int | None
    time_us: int
    code: TxValidationCode
    sequence: int | None = None
    plain: dict[str, Any] | None = None
    signers: tuple[Certificate, ...] = ()
    fault: str = ""


def add_to(router: APIRouter, console: Console) -> None:
    """Add this page."""

    @router.get("/channels/{name}/configurations")
    async def configurations(name: str, request: Request) -> Response:
        viewer = console.viewers.of(name)
        network, config = viewer.network(name), viewer.configs[name]
        bookmark, lacking, following = request.query_params.get("bookmark"), "", None
        try:
            # One more than the page shows: its oldest is compared with that one.
            wanted = TransactionFilter(kind=CONFIG)
            found = await network.search_transactions(wanted, limit=PAGE, bookmark=bookmark)
            following, places = found.bookmark, [(item.block, item.code) for item in found.items]
            if following is not None:
                older = await network.search_transactions(wanted, limit=1, bookmark=following)
                places += [(item.block, item.code) for item in older.items]
            items = await _read_all(network, places)
        except NotFoundError:
            lacking = _LACKING
            first = await _read_all(network, [(0, TxValidationCode.VALID)])
            items = [_present(config), *first] if config.sequence else first
        listing = Listing(
            f"configurations-{name}",
            _COLUMNS,
            configuration_rows(name, items, PAGE, config),
            path=f"/channels/{name}/configurations",
            query={} if bookmark is None else {"bookmark": bookmark},
            next_query=None if following is None else {"bookmark": following},
        )
        return page_or_export(
            console,
            request,
            "configurations.html",
            listing,
            title=f"Configurations of {name}",
            here="Channels",
            channel=name,
            lacking=lacking,
            seen=viewer.label,
        )


def _present(config: ChannelConfig) -> Configuration:
    return Configuration(None, 0, TxValidationCode.VALID, config.sequence, config.plain)


async def _read_all(network: Network, places: Sequence[tuple[int, TxValidationCode]]) -> list[Configuration]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int, code: TxValidationCode) -> Configuration:
        async with gate:
            block = await network.get_block(number)
        return read_configuration(number, block.header.timestamp_us, code, block.envelopes[0])

    return list(await asyncio.gather(*(one(number, code) for number, code in places)))


def read_configuration(number: int, time_us: int, code: TxValidationCode, envelope: bytes) -> Configuration:
    """What a config block's only envelope says."""
    try:
        update = parse_envelope(envelope)
        if not isinstance(update, ConfigUpdate):
            return Configuration(number, time_us, code, fault="it is no configuration")
        return Configuration(number, time_us, code, update.sequence, update.plain, tuple(update.holders))
    except GridLedgerError as error:
        return Configuration(number, time_us, code, fault=error.message)


def configuration_rows(
    channel: str, items: Sequence[Configuration], most: int, config: ChannelConfig | None
) -> list[Row]:
    """Rows for the first ``most`` items, the newest first; each is compared with the newest valid one before it."""
    rows = []
    for place, item in enumerate(items[:most]):
        before = next((one for one in items[place + 1 :] if _stands(one)), None)
        lines = changes_in_words(item, before)
        valid = item.code is TxValidationCode.VALID
        cells = {
            "sequence": Cell("" if item.sequence is None else str(item.sequence), value=item.sequence),
            "block": Cell("not known"),
            "code": Cell(item.code.name, state="" if valid else "bad"),
            "signed": Cell(", ".join(signer_name(one, config) for one in item.signers) or "nobody"),
            "changes": Cell("; ".join(lines)),
        }
        if item.block is not None:
            cells["block"] = Cell(f"{item.block:,}", value=item.block, href=f"/channels/{channel}/blocks/{item.block}")
            cells["time"] = Cell("", value=item.time_us, at_us=item.time_us)
        else:
            cells["signed"] = Cell("not known")
        detail = [(str(number), line) for number, line in enumerate(lines, 1)] if len(lines) > 1 else []
        rows.append(Row(cells, "" if valid else "bad", detail))
    return rows


def _stands(item: Configuration) -> bool:
    return item.code is TxValidationCode.VALID and item.plain is not None


def changes_in_words(item: Configuration, before: Configuration | None) -> list[str]:
    """What a configuration changed, a line for each path that was added, removed or changed."""
    if item.plain is None:
        return [f"it cannot be read: {item.fault}"]
    if before is None or before.plain is None:
        return ["it is the first one"] if item.sequence == 0 else ["the one before is not known here"]
    found = changes(before.plain, item.plain)
    lines = [change.words for change in found[:MAX_CHANGES]]
    if len(found) > MAX_CHANGES:
        lines.append(f"{len(found) - MAX_CHANGES:,} more")
    return lines or ["nothing"]


def signer_name(certificate: Certificate, config: ChannelConfig | None) -> str:
    """Who has signed: ``NAME@MSPID``, as the present configuration knows the certificate."""
    try:
        if config is None:
            return certificate.common_name
        return f"{certificate.common_name}@{config.msps.identify(certificate, certificate.not_before_us).mspid}"
    except GridLedgerError:
        return f"{certificate.common_name} (no member now)"
