"""Making revocations known: an organisation's lists go to its own nodes, and into its entry on each of its channels.

At its nodes they hold at once, for who administers them; on a channel from the configuration on that has them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from gridledger.client.profile import ConnectionProfile
from gridledger.errors import GridLedgerError, InputError, NotFoundError
from gridledger.identity.certificate import Certificate
from gridledger.identity.errors import UnknownAuthority
from gridledger.identity.revocation import merged, read_lists, split_lists
from gridledger.identity.signer import SigningIdentity
from gridledger.network.config_changes import Change, Changed, change_config
from gridledger.network.config_edits import with_lists
from gridledger.network.config_signatures import ADMIN
from gridledger.protocol.config import ChannelConfig
from gridledger.transport.node_client import NodeClient


@dataclass(slots=True)
class Published:
    """The nodes that have the lists, the channels that have them (with what became of each), and by name of a node or a
    channel why one does not."""

    nodes: list[str] = field(default_factory=list)
    channels: dict[str, Changed] = field(default_factory=dict)
    failed: dict[str, GridLedgerError] = field(default_factory=dict)


async def publish_lists(
    profile: ConnectionProfile,
    organisation: str,
    pem: str,
    *,
    channels: Sequence[str] = (),
    user: str | None = None,
) -> Published:
    """Bring an organisation's revocation lists (PEM) to its nodes, then to ``channels``, to all that it is on if none
    are named.

    One that fails keeps no other from having them. ``user`` (as ``Org1/boss``) does it all, the organisation's admin if
    nobody else. Raises :class:`NotFoundError` for an organisation or a channel that there is not.
    """
    admin = SigningIdentity.load(profile.user_folder(user or f"{organisation}/{ADMIN}"))
    if unknown := sorted(set(channels) - set(profile.channels)):
        raise NotFoundError(f"there is no channel {unknown[0]!r}; there are: {', '.join(sorted(profile.channels))}")
    edit = entry_with_lists(admin.mspid, pem, needed=bool(channels))
    published = Published()
    nodes = {**profile.peers, **profile.orderers}
    own = [name for name, entry in nodes.items() if entry.organisation == organisation]
    await asyncio.gather(*(_bring(profile, name, admin, pem, published) for name in own))
    for channel in channels or profile.channels:
        try:
            changed = await change_config(profile, channel, edit, user=user)
        except GridLedgerError as error:
            if channels or not isinstance(error, UnknownAuthority):  # a channel that it is not on tells it nothing
                published.failed[channel] = error
            continue
        if admin.mspid in changed.config.organisations:
            published.channels[channel] = changed
    published.nodes.sort()
    return published


def entry_with_lists(mspid: str, pem: str, *, needed: bool = True) -> Change:
    """The change that puts these lists into an organisation's entry, each in place of an older one of the same root.

    A channel that the organisation is not on stays as it is, or is refused with :class:`InputError` where it is
    ``needed``.
    """
    texts = split_lists(pem)

    def edit(current: ChannelConfig) -> ChannelConfig:
        entry = current.organisations.get(mspid)
        if entry is None and needed:
            raise InputError(f"{mspid} is not on {current.channel}")
        if entry is None:
            return current
        roots = [Certificate.from_pem(root) for root in entry.roots]
        held, published = (read_lists(mspid, roots, items) for items in (entry.crls, texts))
        return with_lists(current, mspid, [item.pem for item in merged(held, published)])

    return edit


async def _bring(profile: ConnectionProfile, name: str, admin: SigningIdentity, pem: str, published: Published) -> None:
    try:
        async with NodeClient.to(profile.way_to(name), admin) as node:
            await node.post("/admin/revocations", pem.encode("ascii"))
    except GridLedgerError as error:
        published.failed[name] = error
    else:
        published.nodes.append(name)
