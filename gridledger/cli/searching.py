"""The search of a channel's transactions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from gridledger.cli.options import DEFAULT_DIR, Channel, Json, Profile, User
from gridledger.cli.output import note, say_json, say_table, time_text

if TYPE_CHECKING:
    from gridledger.client import FoundTransaction, Network, TransactionsPage
    from gridledger.protocol.search import TransactionFilter

_TIME_DIGITS = 18
_PAGE = 200


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command(rich_help_panel="Ledger")(search)


def search(
    channel: Channel,
    *,
    prefix: Annotated[
        str | None, typer.Option("--id", metavar="DIGITS", help="How the transaction's id begins.")
    ] = None,
    mspid: Annotated[str | None, typer.Option(help="The creator's organisation, its MSP id.")] = None,
    creator: Annotated[str | None, typer.Option(metavar="NAME", help="The creator's common name.")] = None,
    certificate: Annotated[
        str | None, typer.Option(metavar="SHA256", help="The fingerprint of the creator's certificate.")
    ] = None,
    chaincode: Annotated[str | None, typer.Option(help="The chaincode that is called.")] = None,
    function: Annotated[str | None, typer.Option(help="The function that is called.")] = None,
    code: Annotated[
        str | None, typer.Option(help="A validation code, such as MVCC_READ_CONFLICT; 'invalid': all but VALID.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="transaction, config, or unreadable.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Blocks of this time or later: 2026-11-30T02:24Z.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Blocks before this time.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 50,
    user: User = None,
    directory: Profile = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Find transactions, the newest first: those that fit all options. With --id in the order of their ids.

    \b
    Examples:
      gridledger search shard1 --creator alice --chaincode hello
      gridledger search shard1 --code invalid --from 2026-11-30T02:00Z --to 2026-11-30T03:00Z
      gridledger search shard1 --id 5f0c
    """
    import asyncio  # noqa: PLC0415

    from gridledger.cli.connection import gateway_to  # noqa: PLC0415
    from gridledger.errors import InputError  # noqa: PLC0415
    from gridledger.protocol.search import TransactionFilter  # noqa: PLC0415

    times = {"from_us": _time_us("--from", start), "to_us": _time_us("--to", end)}
    named = {"mspid": mspid, "creator": creator, "certificate": certificate, "chaincode": chaincode}
    wanted = TransactionFilter.of({**named, "function": function, "code": code, "kind": kind, **times})
    if prefix is not None and wanted != TransactionFilter():
        raise InputError("--id is looked for by itself: leave out the other options, or --id")

    async def work() -> tuple[list[FoundTransaction], TransactionsPage]:
        async with gateway_to(directory, user, channel) as gateway:
            return await _collect(gateway.get_network(channel), prefix or wanted, limit)

    found, last = asyncio.run(work())
    if last.indexed < last.height:
        note(f"note: the peer's index is being built and has the first {last.indexed} of {last.height} blocks")
    more = last.bookmark is not None
    if as_json:
        say_json({"items": [item.to_dict() for item in found], "more": more})
        return 0
    say_table(
        ("block", "#", "time", "transaction", "code", "creator", "call"),
        [
            (
                item.block,
                item.index,
                time_text(item.timestamp_us),
                item.tx_id,
                item.code.name,
                _creator(item),
                _call(item),
            )
            for item in found
        ],
    )
    if more:
        note(f"there are more: --limit is {limit}")
    return 0


async def _collect(
    network: Network, asked: TransactionFilter | str, limit: int
) -> tuple[list[FoundTransaction], TransactionsPage]:
    """Up to ``limit`` transactions, page after page, and the last page."""
    found: list[FoundTransaction] = []
    bookmark = None
    while True:
        size = min(limit - len(found), _PAGE)
        if isinstance(asked, str):
            page = await network.find_transactions(asked, limit=size, bookmark=bookmark)
        else:
            page = await network.search_transactions(asked, limit=size, bookmark=bookmark)
        found += page.items
        bookmark = page.bookmark
        if bookmark is None or len(found) >= limit:
            return found, page


async def whole_id(network: Network, tx_id: str) -> str:
    """The id that begins so, where one does alone; ``tx_id`` itself where none does. InputError names several."""
    from gridledger.errors import InputError  # noqa: PLC0415
    from gridledger.protocol.block import ZERO_HASH  # noqa: PLC0415

    digits = tx_id.lower()
    if not digits or len(digits) >= len(ZERO_HASH) or digits.strip("0123456789abcdef"):
        return tx_id
    page = await network.find_transactions(digits, limit=2)
    if len(page.items) > 1:
        ids = " ".join(item.tx_id for item in page.items)
        raise InputError(f"more than one transaction begins with {tx_id}: {ids} ...; give more digits")
    return page.items[0].tx_id if page.items else tx_id


def _creator(item: FoundTransaction) -> str:
    return "" if item.creator is None else f"{item.creator} of {item.mspid or 'nobody known'}"


def _call(item: FoundTransaction) -> str:
    return f"({item.kind})" if item.chaincode is None else f"{item.chaincode} {item.function}"


def _time_us(option: str, text: str | None) -> int | None:
    """ISO 8601, UTC where it names no zone, or microseconds since 1970."""
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= _TIME_DIGITS:
        return int(text)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{option} must be a time as 2026-11-30T02:24Z, not {text!r:.80}") from None
    since = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return max(0, (since - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1))
