"""Organisations that come to a network that runs, change their entry, and go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from gridledger.errors import ConflictError, InputError
from gridledger.files import write_atomically
from gridledger.identity import local_msp
from gridledger.identity.certificate import Certificate
from gridledger.identity.revocation import lists_of
from gridledger.network.changes.changing_network import ChangingNetwork
from gridledger.network.changes.enrolment import enroll_organisation, write_registrar_secret
from gridledger.network.changes.leftovers import left_behind, set_aside
from gridledger.network.changes.roots import roots_in
from gridledger.network.config_changes import present_config
from gridledger.network.schema import OrganisationSpec
from gridledger.protocol.config import ChannelConfig, Organisation
from gridledger.protocol.config_policies import APPLICATION, OBSERVER, ORDERER


async def add_organisation(
    network: ChangingNetwork, spec: OrganisationSpec, channels: Sequence[str], *, roots: str = ""
) -> None:
    """Make an organisation a member of channels. The CA service hosts its CA and its admin is enrolled, unless it is
    ``elsewhere`` and brings its ``roots`` (PEM)."""
    network.check_channels(channels)
    everywhere = network.config.channels
    if spec.kind == ORDERER and set(channels) != set(everywhere):
        raise InputError(f"an organisation of orderers is a member of all channels: {', '.join(everywhere)}")
    entry = await begin_organisation(network, spec, roots=roots)
    for channel in channels:
        await network.change(channel, partial(with_entry, entry), f"{spec.mspid} is a member")
        _note_member(network, channel, spec)


async def begin_organisation(network: ChangingNetwork, spec: OrganisationSpec, *, roots: str = "") -> Organisation:
    """What an organisation needs before it is a member: a CA here and an admin, or its ``roots`` (PEM). Its entry."""
    _check_new(network, spec, roots)
    if spec.elsewhere:
        network.keep_root(spec.name, roots)
    else:
        write_registrar_secret(network, spec.name)
    known = network.config.organisations
    network.keep(network.changed(organisations=known if spec.name in [item.name for item in known] else (*known, spec)))
    if not spec.elsewhere:
        await network.follow()
        await enroll_organisation(network, spec.name)
        network.keep(network.config)  # with its root
        network.say(f"{spec.name} has a CA, and its admin is enrolled")
    return await _entry_of(network, spec)


async def remove_organisation(network: ChangingNetwork, name: str, channels: Sequence[str] = ()) -> None:
    """End an organisation's membership of some channels, and take its peers off them; of all channels, and out of the
    network with its peers, where none is named."""
    spec, config = network.organisation(name), network.config
    network.check_channels(channels)
    if any(item.organisation == name for item in config.orderers):
        raise InputError(f"{name} has orderers: remove or replace these first (gridledger orderer remove)")
    own = {item.name for item in config.peers if item.organisation == name}
    chosen = list(channels) or [channel for channel in config.channels if name in config.members_of(channel)]
    for channel in chosen:
        if not set(config.channels[channel].peers) - own:
            raise InputError(f"{channel} has no peer but those of {name}: a channel needs one")
    await _check_removal(network, spec.mspid, chosen)
    for channel in chosen:
        await network.change(channel, partial(without, spec.mspid), f"{spec.mspid} is no member")
        present = network.config.channels[channel]
        network.keep(
            network.with_channel(
                channel,
                peers=tuple(item for item in present.peers if item not in own),
                organisations=tuple(item for item in present.organisations if item != name),
                readers=tuple(item for item in present.readers if item != name),
                forwarders=tuple(item for item in present.forwarders if not item.startswith(f"{name}/")),
            )
        )
    if channels:
        return
    network.keep(network.changed(peers=tuple(item for item in network.config.peers if item.organisation != name)))
    await network.follow()
    for peer in left_behind(network, spec.mspid):
        set_aside(network, peer)
    # The last step, by which it is known that all others are done. The CA service lets nobody go before its next start.
    others = tuple(item for item in network.config.organisations if item.name != name)
    network.keep(network.changed(organisations=others))


async def update_organisation(
    network: ChangingNetwork,
    name: str,
    channels: Sequence[str] = (),
    *,
    roots: str = "",
    anchors: Sequence[str] | None = None,
) -> None:
    """Change an organisation's own entry on channels, on all of its own where none is named: its ``roots`` (PEM, all
    that hold from now on), its ``anchors`` (peers of it on the channel)."""
    spec = network.organisation(name)
    network.check_channels(channels)

    def changed(current: ChannelConfig) -> ChannelConfig:
        before = current.organisations.get(spec.mspid)
        if before is None:
            raise InputError(f"{spec.mspid} is no member of {current.channel}")
        kept = roots_in(roots) if roots else before.roots
        entry = replace(
            before,
            roots=kept,
            crls=tuple(lists_of(spec.mspid, [Certificate.from_pem(root) for root in kept], before.crls)),
            anchors=before.anchors if anchors is None else tuple(anchors),
        )
        return replace(current, organisations={**current.organisations, spec.mspid: entry})

    config = network.config
    for channel in list(channels) or [item for item in config.channels if name in config.members_of(item)]:
        await network.change(channel, changed, f"the entry of {spec.mspid} is so")
    if roots:
        network.keep_root(name, roots)
        network.keep(network.config)
        for node in (*config.peers, *config.orderers):
            if node.organisation == name:
                write_atomically(network.folder.node(node.name) / "msp" / local_msp.ROOTS, roots.encode("ascii"))


async def _entry_of(network: ChangingNetwork, spec: OrganisationSpec) -> Organisation:
    """An organisation's entry as a channel has it that it is on already, its lists and policies too; else a new one."""
    for channel in network.config.channels:
        if spec.name in network.config.members_of(channel):
            present = (await present_config(network.profile, channel)).organisations.get(spec.mspid)
            if present is not None:
                return replace(present, anchors=())
    return Organisation(spec.mspid, roots_in(network.root_of(spec.name)), kind=spec.kind or APPLICATION)


async def _check_removal(network: ChangingNetwork, mspid: str, channels: Sequence[str]) -> None:
    """Raise :class:`InputError` for a channel that cannot be without the organisation, before any is changed."""
    for channel in channels:
        current = await present_config(network.profile, channel)
        try:
            current.followed_by(without(mspid, current)).check()
        except InputError as error:
            raise InputError(
                f"{channel} cannot be without {mspid}: {error.message}; change that first (a chaincode's policy by "
                f"gridledger chaincode deploy DIR --channel {channel} --policy POLICY)"
            ) from None


def _check_new(network: ChangingNetwork, spec: OrganisationSpec, roots: str) -> None:
    """:class:`ConflictError` where the name is another organisation's. The same one again goes on where it ended."""
    if spec.elsewhere and not roots:
        raise InputError(f"{spec.name} has its CA elsewhere: give its root certificates")
    known = next((item for item in network.config.organisations if spec.name == item.name), None)
    if known is not None and (known.mspid, known.elsewhere) != (spec.mspid, spec.elsewhere):
        raise ConflictError(f"there is an organisation {spec.name} already, with the MSP id {known.mspid}")
    if known is not None and (kind := network.config.kind_of(spec.name)) != (spec.kind or APPLICATION):
        raise ConflictError(f"there is an organisation {spec.name} already, of the kind {kind!r}")


def _note_member(network: ChangingNetwork, channel: str, spec: OrganisationSpec) -> None:
    if spec.name in network.config.members_of(channel):
        return
    member = "readers" if spec.kind == OBSERVER else "organisations"
    named = getattr(network.config.channels[channel], member)
    network.keep(network.with_channel(channel, **{member: (*named, spec.name)}))


def with_entry(entry: Organisation, current: ChannelConfig) -> ChannelConfig:
    """The configuration with an organisation; as it is where it has that already."""
    present = current.organisations.get(entry.mspid)
    if present is None:
        return current.with_organisations({**current.organisations, entry.mspid: entry})
    if present.kind != entry.kind:
        raise ConflictError(f"{entry.mspid} is a member of {current.channel} already, of the kind {present.kind!r}")
    return current


def without(mspid: str, current: ChannelConfig) -> ChannelConfig:
    """The configuration without an organisation, its peers and its forwarders."""
    staying = current.with_organisations({name: item for name, item in current.organisations.items() if name != mspid})
    return replace(staying, forwarders=frozenset(item for item in current.forwarders if item.mspid != mspid))


def with_own_entry(mspid: str, roots: str, anchors: Sequence[str] | None, current: ChannelConfig) -> ChannelConfig:
    """The configuration where an organisation has these roots (PEM) and anchors, each where given."""
    before = current.organisations.get(mspid)
    if before is None:
        raise InputError(f"{mspid} is no member of {current.channel}")
    entry = replace(
        before,
        roots=roots_in(roots) if roots else before.roots,
        anchors=before.anchors if anchors is None else tuple(anchors),
    )
    return replace(current, organisations={**current.organisations, mspid: entry})
