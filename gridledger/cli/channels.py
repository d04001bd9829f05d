"""Commands about channels: which there are, what one is like, and whether two peers agree on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridledger.cli import channel_changes, channel_updates
from gridledger.cli.options import DEFAULT_DIR, Channel, Json, Profile, User
from gridledger.cli.output import say, say_fields, say_json, say_table, time_text
from gridledger.command_line import EXIT_FAILED

if TYPE_CHECKING:
    from gridledger.cli.reading import Comparison
    from gridledger.protocol.chain_info import ChainInfo
    from gridledger.protocol.config import ChannelConfig

_PANEL = "Ledger"


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(name="channel", no_args_is_help=True, help="List channels, show one, change its configuration.")
    group.command("list")(list_channels)
    group.command("info")(info)
    channel_changes.add_to(group)
    channel_updates.add_to(group)
    app.add_typer(group, rich_help_panel=_PANEL)
    app.command(rich_help_panel=_PANEL)(compare)


def list_channels(
    *,
    node: Annotated[
        str | None,
        typer.Option("--node", metavar="NODE", help="Those that this node has joined, as its own admin."),
    ] = None,
    user: User = None,
    directory: Profile = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """List the network's channels, with height and commit hash of those that the user may read.

    \b
    Examples:
      gridledger channel list --user Org1/alice
      gridledger channel list --node orderer1
    """
    import asyncio  # noqa: PLC0415

    from gridledger.cli.reading import read_heights, read_joined  # noqa: PLC0415
    from gridledger.client.profile import load_profile  # noqa: PLC0415

    profile = load_profile(directory)
    if node is not None:
        joined = asyncio.run(read_joined(profile, node, user))
        if as_json:
            say_json({"node": node, "channels": joined})
        else:
            columns = ("name", "status", "consensusRelation", "height")
            say_table(
                ("channel", "status", "takes part as", "height"), [[item[key] for key in columns] for item in joined]
            )
        return 0
    found = asyncio.run(read_heights(profile, user))
    channels = [{"name": name, "peers": list(profile.channels[name].peers), **told} for name, told in found.items()]
    if as_json:
        say_json({"channels": channels})
    else:
        say_table(
            ("channel", "height", "commit hash", "peers"),
            [
                (
                    item["name"],
                    item.get("height", "-"),
                    item.get("commit_hash") or item["error"],
                    " ".join(item["peers"]),
                )
                for item in channels
            ],
        )
    return 0


def info(channel: Channel, *, user: User = None, directory: Profile = DEFAULT_DIR, as_json: Json = False) -> int:
    """Show how far a channel is on a peer, and its configuration.

    \b
    Example:
      gridledger channel info shard1
    """
    import asyncio  # noqa: PLC0415

    from gridledger.cli.connection import gateway_to  # noqa: PLC0415

    async def work() -> tuple[ChainInfo, ChannelConfig]:
        async with gateway_to(directory, user, channel) as gateway:
            network = gateway.get_network(channel)
            return await network.get_chain_info(), await network.get_config()

    chain, config = asyncio.run(work())
    if as_json:
        say_json({**chain.to_dict(), "config": _config(config)})
        return 0
    say_fields(
        {
            "channel": chain.channel,
            "height": chain.height,
            "transactions": chain.transactions,
            "newest block": f"{time_text(chain.timestamp_us)}, hash {chain.last_hash}",
            "commit hash": chain.commit_hash,
            "bytes": chain.size_bytes,
            "configuration": f"sequence {config.sequence}",
            "organisations": " ".join(f"{name} ({item.kind})" for name, item in config.organisations.items()),
            "capabilities": " ".join(config.capabilities),
            **{f"policies of {group}": _texts(policies) for group, policies in config.policies.items()},
            **{f"access to {resource}": path for resource, path in config.acls.items()},
            "batch": " ".join(f"{name}={value}" for name, value in config.batch.to_dict().items()),
            "limits": " ".join(f"{name}={value}" for name, value in config.limits.to_dict().items()),
        }
    )
    say("")
    nodes = [*config.peers.values(), *config.orderers.values()]
    say_table(("node", "MSP", "URL"), [(node.name, node.mspid, node.url) for node in nodes])
    say("")
    say_table(
        ("chaincode", "version", "sequence", "policy"),
        [(item.name, item.version, item.sequence, item.policy) for item in config.chaincodes.values()],
    )
    return 0


def compare(
    channel: Channel,
    one: Annotated[str, typer.Argument(metavar="PEER", help="A peer of the channel.")],
    other: Annotated[str, typer.Argument(metavar="PEER", help="Another one.")],
    *,
    user: User = None,
    directory: Profile = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Compare a channel's ledger on two peers, and show the first block after which they differ.

    The exit code is 0 when they agree up to the lower of their heights, else 1.

    \b
    Example:
      gridledger compare shard1 peer1 peer2
    """
    import asyncio  # noqa: PLC0415

    from gridledger.cli.connection import nodes_of  # noqa: PLC0415
    from gridledger.cli.reading import compare_ledgers  # noqa: PLC0415

    async def work() -> Comparison:
        async with nodes_of(directory, user, channel, (one, other)) as (first, second):
            return await compare_ledgers(channel, first, second)

    found = asyncio.run(work())
    if as_json:
        heights = {one: found.heights[0], other: found.heights[1]}
        difference = found.difference
        say_json(
            {
                "channel": channel,
                "heights": heights,
                "equal": difference is None,
                "first_difference": None
                if difference is None
                else {"block": difference.block, "what": difference.what},
            }
        )
    elif found.difference is None:
        say(f"{one} and {other} agree on {channel} up to height {min(found.heights)}{_behind(one, other, found)}")
    else:
        say(f"{one} and {other} differ on {channel} from block {found.difference.block} on:")
        for line in found.difference.what:
            say(f"  {line}")
    return 0 if found.difference is None else EXIT_FAILED


def _behind(one: str, other: str, found: Comparison) -> str:
    first, second = found.heights
    if first == second:
        return ""
    return f"; {one if first < second else other} is {abs(first - second)} blocks behind"


def _texts(policies: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {text}" for name, text in policies.items())


def _config(config: ChannelConfig) -> dict[str, Any]:
    """The configuration without certificates."""
    return {
        "sequence": config.sequence,
        "capabilities": list(config.capabilities),
        "organisations": {
            name: {"kind": item.kind, "policies": dict(item.policies), "anchors": list(item.anchors)}
            for name, item in config.organisations.items()
        },
        "peers": {node.name: {"mspid": node.mspid, "url": node.url} for node in config.peers.values()},
        "orderers": {node.name: {"mspid": node.mspid, "url": node.url} for node in config.orderers.values()},
        "policies": {group: dict(texts) for group, texts in config.policies.items()},
        "acls": dict(config.acls),
        "chaincodes": {item.name: item.to_dict() for item in config.chaincodes.values()},
        "batch": config.batch.to_dict(),
        "limits": config.limits.to_dict(),
    }
