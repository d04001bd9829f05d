"""The command ``events``: what happened on a channel, and what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gridledger.cli.options import DEFAULT_DIR, Channel, Json, Profile, User
from gridledger.cli.output import json_text, note, say, say_json, time_text
from gridledger.command_line import one_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gridledger.client import BlockEvent, ChaincodeEvent, Gateway


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Ledger")(events)


def events(
    channel: Channel,
    *,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    chaincode: Annotated[
        str | None, typer.Option("--chaincode", help="The events of this chaincode, instead of blocks.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Only the chaincode's events of this name.")] = None,
    start: Annotated[
        int | None,
        typer.Option(
            "--from", metavar="BLOCK", min=0, help="The first block.", show_default="0; with --follow the next one"
        ),
    ] = None,
    user: User = None,
    directory: Profile = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Show a channel's blocks with each transaction's code, or the events of a chaincode's valid transactions.

    Without --follow it shows what is there now, and ends. With --json each event is a JSON document on a line of its
    own.

    \b
    Examples:
      gridledger events shard1
      gridledger events shard1 --follow --chaincode kv --name Put
      gridledger events shard1 --follow --from 0 --json
    """
    import asyncio  # noqa: PLC0415

    from gridledger.cli.connection import gateway_to  # noqa: PLC0415

    if name is not None and chaincode is None:
        raise typer.BadParameter("it needs --chaincode", param_hint="--name")

    async def work() -> None:
        async with gateway_to(directory, user, channel) as gateway:
            if chaincode is None:
                async for block in _blocks(gateway, channel, start, follow=follow):
                    _show_block(block, as_json=as_json)
            else:
                async for event in _chaincode_events(gateway, channel, chaincode, name, start, follow=follow):
                    _show_event(event, as_json=as_json)

    asyncio.run(work())
    return 0


async def _blocks(gateway: Gateway, channel: str, start: int | None, *, follow: bool) -> AsyncIterator[BlockEvent]:
    network = gateway.get_network(channel)
    if follow:
        async for block in network.block_events(start_block=start):
            yield block
        return
    first, height = start or 0, (await network.get_chain_info()).height
    if first >= height:
        return
    async for block in network.block_events(start_block=first):
        yield block
        if block.number >= height - 1:
            return


async def _chaincode_events(
    gateway: Gateway, channel: str, chaincode: str, name: str | None, start: int | None, *, follow: bool
) -> AsyncIterator[ChaincodeEvent]:
    from gridledger.cli.reading import past_events  # noqa: PLC0415

    network = gateway.get_network(channel)
    known = (await network.get_config()).chaincodes
    if chaincode not in known:
        note(f"note: {channel} has no chaincode {chaincode!r} now; it has: {', '.join(known) or 'none'}")
    if follow:
        stream = network.chaincode_events(chaincode, start_block=start, name=name)
    else:
        stream = past_events(network, start or 0, (await network.get_chain_info()).height)
    async for event in stream:
        if event.chaincode == chaincode and name in (None, event.name):
            yield event


def _show_block(block: BlockEvent, *, as_json: bool) -> None:
    if as_json:
        say_json(block.to_dict())
        return
    say(f"block {block.number}  {time_text(block.timestamp_us)}  commit hash {block.commit_hash}")
    for index, item in enumerate(block.transactions):
        say(f"  {index}  {item.code.name}  {one_line(item.tx_id) or '(unreadable)'}")


def _show_event(event: ChaincodeEvent, *, as_json: bool) -> None:
    if as_json:
        say_json(event.to_dict())
        return
    what = one_line(f"{event.name} {json_text(event.payload)}")
    say(f"block {event.block} #{event.index}  {time_text(event.timestamp_us)}  {what}  transaction {event.tx_id}")
