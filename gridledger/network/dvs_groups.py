"""Where a group of the application dvs runs: changing it in a network's description and its connection profiles.

Feeders that run follow the connection profile and move the group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gridledger import jsontext
from gridledger.errors import ConflictError, InputError, NotFoundError
from gridledger.files import write_atomically
from gridledger.grid.layout import GROUP_ID, describe_groups, layout_of
from gridledger.network.descriptions import network_now, write_network
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import NetworkConfig


@dataclass(frozen=True, slots=True)
class GroupPlace:
    """Where a group runs, and where it ran ``before``.

    ``planner`` and ``aggregators`` are MSP ids that the channel's records name; None and empty where they name none.
    """

    group: str
    channel: str
    before: str
    chaincode: str
    planner: str | None
    aggregators: tuple[str, ...]


def place_group(
    config: NetworkConfig, group: str, channel: str, planner: str | None = None, aggregators: Sequence[str] = ()
) -> tuple[NetworkConfig, GroupPlace]:
    """The description with a single group on ``channel``; a channel that groups ran on keeps its MSPs.

    A channel that is new to the application gets those given. Without any, where the others have some, its planner is
    of its first peer's organisation, and its aggregators of each organisation with a peer there and on the main
    channel. Raises :class:`SettingsError`, :class:`InputError`, :class:`NotFoundError` or :class:`ConflictError`.
    """
    layout = layout_of(config)
    if not GROUP_ID.fullmatch(group):
        raise InputError(f"{group!r} is no single group's id; it is a number, such as 2")
    if channel not in config.channels:
        raise NotFoundError(f"there is no channel {channel!r}; there are: {', '.join(config.channels)}")
    there, on_main = _mspids(config, channel), _mspids(config, layout.main)
    both = [mspid for mspid in there if mspid in on_main]
    planner = _agreed("planner", channel, layout.planners.get(channel), planner)
    named = _agreed(
        "aggregators", channel, tuple(layout.aggregators.get(channel, ())) or None, tuple(aggregators) or None
    )
    if planner is None and layout.planners:
        planner = there[0]
    if not named and layout.aggregators:
        named = tuple(both)
    if not both or (layout.aggregators and not named):
        raise InputError(
            f"no organisation has a peer on {channel} and on {layout.main}: group {group} has no aggregator"
        )
    if planner is not None and planner not in there:
        raise InputError(
            f"the planner's organisation {planner} has no peer on {channel}; there are: {', '.join(there)}"
        )
    if strangers := [mspid for mspid in named or () if mspid not in both]:
        raise InputError(
            f"the aggregators' organisation {strangers[0]} has no peer on {channel} and on {layout.main}; there are: "
            f"{', '.join(both)}"
        )
    described = {**config.applications["dvs"], "groups": describe_groups(layout.placing({group: channel}))}
    for member, value in (("planners", planner), ("aggregators", named and list(named))):
        if value:
            described[member] = {**described.get(member, {}), channel: value}
    changed = config.model_copy(update={"applications": {**config.applications, "dvs": described}})
    place = GroupPlace(group, channel, layout.channel_of(group), layout.chaincode, planner, named or ())
    return changed, place


def write_applications(folder: NetworkFolder, config: NetworkConfig) -> None:
    """Keep the applications of ``config`` in the network's description, then in its profiles, companions' copies first.

    Each file is replaced in one step. Cut short in between, it is to be repeated.
    """
    write_network(folder, network_now(folder).model_copy(update={"applications": config.applications}))
    copies = [folder.companion(spec.name) / folder.connection.name for spec in config.companions]
    for file in (*copies, folder.host_connection, folder.connection):
        if file.exists():
            profile = jsontext.loads(file.read_bytes())
            write_atomically(file, jsontext.dumps({**profile, "applications": config.applications}))


def _mspids(config: NetworkConfig, channel: str) -> list[str]:
    """The MSP ids of the organisations with a peer on a channel, in the order of its peers."""
    owners = [config.peer(peer).organisation for peer in config.channels[channel].peers]
    return list(dict.fromkeys(map(config.mspid, owners)))


def _agreed(what: str, channel: str, standing: Any, given: Any) -> Any:
    """What holds of ``standing`` and ``given``; records of a channel's groups name what stands."""
    if standing is not None and given is not None and given != standing:
        shown = standing if isinstance(standing, str) else ", ".join(standing)
        raise ConflictError(f"{channel} has its {what} already, which its records name: {shown}; leave --{what} out")
    return given if standing is None else standing
