"""Config transactions: a channel's next configuration, signed by those whose affair the changes are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from gridledger import jsontext
from gridledger.errors import GridLedgerError, InputError, MalformedMessage, PermissionDeniedError
from gridledger.identity.certificate import Certificate
from gridledger.identity.errors import IdentityError
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.block import Block
from gridledger.protocol.capabilities import check_capabilities
from gridledger.protocol.config import KIND as CONFIG_KIND
from gridledger.protocol.config import ChannelConfig, Node
from gridledger.protocol.config_authority import (
    check_authority,
    departing_after,
    explain,
    has_signed,
    removed_after,
    wrongly_returned,
)
from gridledger.protocol.config_policies import APPLICATION_ADMINS, CHANNEL_ADMINS, ORDERER_ADMINS
from gridledger.protocol.fields import exactly, from_base64, hash_of, integer_of, parse_object, text_of, to_base64
from gridledger.protocol.limits import MAX_CONFIG_BYTES
from gridledger.protocol.transaction import Transaction

KIND = "config_update"
CONFIG_PREFIX = b'{"config_update":'
"""How every config transaction's envelope begins, and no other."""

SIGNATURE_KIND = "config_signature"
MAX_SIGNATURES = 1000
MAX_TEXT = 16 * 1024 * 1024
SECOND_US = 1_000_000
_MEMBERS = frozenset(("config_update", "signatures"))
_UPDATE_MEMBERS = frozenset(("kind", "time", "config"))
_UNDATED_MEMBERS = frozenset(("kind", "config"))
_SIGNATURE_MEMBERS = frozenset(("certificate", "signature"))


class InvalidConfigUpdate(InputError):
    """A config transaction that does not follow from the present configuration."""

    code = "INVALID_CONFIG_UPDATE"


@dataclass(frozen=True)
class ConfigSignature:
    """One admin's signature under an update; ``der`` is the admin's certificate, not parsed yet."""

    der: bytes
    signature: bytes

    @property
    def certificate(self) -> Certificate:
        """The admin's certificate; :class:`MalformedCertificate` where it is none."""
        return Certificate.from_der(self.der)


@dataclass(frozen=True)
class ConfigUpdate:
    """A config transaction: the whole next configuration, and the admins' signatures.

    It names the sequence that it makes, so that of two updates made side by side the second is refused, and carries the
    time when it was made (``time_us``, microseconds since 1970). What is read is the outer shape, channel, sequence and
    time: to read the configuration itself costs much more (each root and revocation list in it has a signature), and
    waits until it is known that the admins have signed.
    """

    text: str
    config_text: str
    channel: str
    sequence: int
    time_us: int | None
    signatures: tuple[ConfigSignature, ...]

    @property
    def tx_id(self) -> str:
        """SHA-256 of the update's text."""
        return hash_of(self.text)

    @cached_property
    def config(self) -> ChannelConfig:
        """The next configuration, read and checked now. Raises what :meth:`ChannelConfig.parse` raises."""
        return ChannelConfig.parse(self.config_text)

    @cached_property
    def plain(self) -> dict[str, Any]:
        """The next configuration as plain JSON values, of which nothing is checked."""
        return parse_object(self.config_text, CONFIG_KIND)

    def signers(self, current: ChannelConfig, at_us: int) -> list[tuple[str, str]]:
        """MSP id and role of each member who has signed. A member counts once, under however many certificates."""
        signed = _signed_text(self.text)
        signers: dict[tuple[str, str], tuple[str, str]] = {}
        for item in self.signatures:
            try:
                certificate = item.certificate
                identity = current.msps.identify(certificate, at_us)
            except GridLedgerError:
                continue
            if certificate.verify(item.signature, signed):
                signers[identity.signer] = (identity.mspid, identity.role)
        return list(signers.values())

    @classmethod
    def build(
        cls, config: ChannelConfig, signers: Sequence[SigningIdentity] = (), *, time_us: int | None = None
    ) -> ConfigUpdate:
        """Write the update that makes ``config`` and sign it; ``time_us`` is the time now. Block 0's has neither."""
        dated = {} if time_us is None else {"time": time_us}
        text = jsontext.dumps({"kind": KIND, **dated, "config": config.text}).decode()
        signed = _signed_text(text)
        signatures = tuple(ConfigSignature(signer.certificate.der, signer.sign(signed)) for signer in signers)
        return cls(text, config.text, config.channel, config.sequence, time_us, signatures)

    @property
    def holders(self) -> list[Certificate]:
        """The certificates whose signatures under this update hold, whether or not a channel knows them."""
        signed = _signed_text(self.text)
        found: list[Certificate] = []
        for item in self.signatures:
            try:
                certificate = item.certificate
            except GridLedgerError:
                continue
            if certificate.verify(item.signature, signed):
                found.append(certificate)
        return found

    def signed_by(self, signer: SigningIdentity) -> ConfigUpdate:
        """The same update with one more signature."""
        more = ConfigSignature(signer.certificate.der, signer.sign(_signed_text(self.text)))
        return replace(self, signatures=(*self.signatures, more))

    def to_bytes(self) -> bytes:
        """The envelope."""
        signatures = [
            {"certificate": to_base64(item.der), "signature": to_base64(item.signature)} for item in self.signatures
        ]
        return jsontext.dumps({"config_update": self.text, "signatures": signatures})

    @classmethod
    def parse(cls, envelope: bytes) -> ConfigUpdate:
        """Read an envelope's outer shape; nothing is verified, no certificate is parsed."""
        message = exactly(jsontext.loads(envelope), _MEMBERS, "a config transaction")
        text = text_of(message, "config_update", max_length=MAX_TEXT)
        update = parse_object(text, KIND)
        update = exactly(update, _UPDATE_MEMBERS if "time" in update else _UNDATED_MEMBERS, "a config update")
        signatures = message["signatures"]
        if not isinstance(signatures, list) or len(signatures) > MAX_SIGNATURES:
            raise MalformedMessage(f"'signatures' must be a list of at most {MAX_SIGNATURES}")
        config_text = text_of(update, "config", max_length=MAX_CONFIG_BYTES)
        config = parse_object(config_text, CONFIG_KIND)
        return cls(
            text=text,
            config_text=config_text,
            channel=text_of(config, "channel"),
            sequence=integer_of(config, "sequence"),
            time_us=integer_of(update, "time") if "time" in update else None,
            signatures=tuple(_signature(item) for item in signatures),
        )


def verify_update(current: ChannelConfig, update: ConfigUpdate, at_us: int) -> ChannelConfig:
    """The configuration that follows ``current`` by ``update``, judged at ``at_us`` (the block's timestamp).

    Raises :class:`InvalidConfigUpdate` where it does not follow, :class:`PermissionDeniedError` where the valid
    signatures do not meet the present policies for what it changes, and what :meth:`ChannelConfig.parse` raises. The
    cheap checks come first: nothing of an update that no admin has signed is read, and no certificate in it before all
    who must sign have.

    Raises :class:`CapabilityUnknown` where the update is signed as it must be and this version cannot judge it. Whoever
    gives updates their codes lets that one pass, and stops.
    """
    _check_next(current, update, at_us)
    check_signed(current, update, at_us)
    return _following(current, update, at_us)


def check_unsigned(current: ChannelConfig, update: ConfigUpdate, at_us: int) -> ChannelConfig:
    """The configuration that follows ``current`` by ``update`` once it is signed: for whoever makes one, before anybody
    is asked for a signature. Raises as :func:`verify_update`, less what is wrong with the signatures."""
    _check_next(current, update, at_us)
    return _following(current, update, at_us)


def _check_next(current: ChannelConfig, update: ConfigUpdate, at_us: int) -> None:
    """Raise where the update is not the next one of this channel, at this time."""
    if update.channel != current.channel:
        raise InvalidConfigUpdate(f"the update is for the channel {update.channel!r}, this is {current.channel!r}")
    if update.sequence != current.sequence + 1:
        raise InvalidConfigUpdate(
            f"the update makes sequence {update.sequence}, the channel is at {current.sequence}: "
            "read the present configuration and make the update from it",
            current=current.sequence,
        )
    _check_time(current, update, at_us)


def _following(current: ChannelConfig, update: ConfigUpdate, at_us: int) -> ChannelConfig:
    following = update.config
    _check_remembered(current.plain, update.plain)
    _check_follows(current, following)
    _check_certificates(current, following, at_us)
    return following


def explain_update(current: ChannelConfig, update: ConfigUpdate, at_us: int) -> list[str]:
    """What an update changes, in words: a line for each change, with who must sign and who has by now."""
    return explain(current.plain, update.plain, current.channel_policies, update.signers(current, at_us))


def _check_time(current: ChannelConfig, update: ConfigUpdate, at_us: int) -> None:
    """Raise where the update is older than the channel's window for updates, or of a time that is still to come."""
    window_s, ahead_s = current.limits.config_window_s, current.limits.proposal_window_s
    if not window_s:
        return
    if update.time_us is None:
        raise InvalidConfigUpdate("the update carries no time, which this channel asks for: make and sign it anew")
    age_us = at_us - update.time_us
    if age_us > window_s * SECOND_US:
        raise InvalidConfigUpdate(
            f"the update expired: it was made {age_us / SECOND_US / 3600:.1f} hours ago, and is good for "
            f"{window_s / 3600:g} hours on this channel; make and sign it anew",
            window_s=window_s,
        )
    if -age_us > ahead_s * SECOND_US:
        raise InvalidConfigUpdate(
            f"the update is dated {-age_us / SECOND_US:.0f} s ahead, at most {ahead_s} s are allowed: compare the "
            "clocks, then make and sign it anew"
        )


def check_signed(current: ChannelConfig, update: ConfigUpdate, at_us: int) -> None:
    """Raise what is wrong with the signatures of an update: those who may change what it changes have not all signed,
    or they have, for a capability that is not known here.

    Of an update that is not the next one, as where this node is behind, no more is told than whether admins signed.
    """
    signers = check_signatures(current, update, at_us)
    if update.sequence == current.sequence + 1:
        _check_known(current, update.plain, signers)
        check_authority(current.plain, update.plain, current.channel_policies, signers)


def check_signatures(current: ChannelConfig, update: ConfigUpdate, at_us: int) -> list[tuple[str, str]]:
    """MSP id and role of each member who has signed; :class:`PermissionDeniedError` where no organisation's admins are
    among them, which every change needs.

    Costs a parsed certificate and two verifications a signature, up to a bound.
    """
    most = current.max_signatures
    if len(update.signatures) > most:
        raise InvalidConfigUpdate(f"the update has {len(update.signatures)} signatures, at most {most} are judged here")
    signers = update.signers(current, at_us)
    policies = current.channel_policies
    if not any(has_signed(mspid, policies, signers) for mspid in {mspid for mspid, _ in signers}):
        raise PermissionDeniedError(
            f"{len(signers)} valid signatures, and none of an admin of an organisation of {current.channel}: an update "
            "is signed by those whose affair it is",
            signers=sorted(mspid for mspid, _ in signers),
        )
    return signers


def _check_known(current: ChannelConfig, after: Mapping[str, Any], signers: Collection[tuple[str, str]]) -> None:
    """Raise :class:`CapabilityUnknown` where those who may change capabilities have signed for one that is not known
    here. What else the update changes is then not judged: its members may be those of a newer version."""
    if "capabilities" in after and current.policy(CHANNEL_ADMINS).satisfied_by(signers):
        check_capabilities(after)


def _check_remembered(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Raise where a removed organisation or a departing orderer is not remembered, or an organisation comes back as
    another."""
    if after.get("removed_organisations", {}) != removed_after(before, after):
        raise InvalidConfigUpdate(
            "'removed_organisations' must have the hash of roots, lists and policies of each organisation that was "
            "removed and is not there again"
        )
    if after.get("departing_orderers", {}) != departing_after(before, after):
        raise InvalidConfigUpdate(
            "'departing_orderers' must have the orderer that the newest change of orderers took away, as it was"
        )
    if wrong := wrongly_returned(before, after):
        raise InvalidConfigUpdate(
            f"{', '.join(wrong)} was on the channel before: it comes back with the roots, lists and policies that it "
            "left with, without peers and anchors; its own admins change it afterwards"
        )


def _check_follows(current: ChannelConfig, following: ChannelConfig) -> None:
    """Raise where the channel's next configuration changes what an update may not change."""
    added, removed = (sorted(names) for names in _changes(current.orderers, following.orderers))
    if len(added) > 1 or len(removed) > 1 or not current.orderers.keys() - removed:
        # Raft follows one at a time; one orderer at least must be able to sign blocks while it does.
        raise InvalidConfigUpdate(
            f"the update adds the orderers {added} and removes {removed}: it may add one and remove one, and one "
            "of those that the channel has must stay; make several updates, one after another",
            added=added,
            removed=removed,
        )
    for name, after in following.chaincodes.items():
        if after != current.chaincodes.get(name) and after.sequence != current.next_sequence(name):
            raise InvalidConfigUpdate(
                f"chaincode {name!r}: the next definition has the sequence {current.next_sequence(name)}"
            )
    expected = current.with_chaincodes(following.chaincodes).removed_chaincodes
    if wrong := dict(set(expected.items()) ^ set(following.removed_chaincodes.items())):
        raise InvalidConfigUpdate(
            "'removed_chaincodes' must have the last sequence of each chaincode that was removed and is not there "
            f"again; it is wrong of {', '.join(sorted(wrong))}"
        )


def _check_certificates(current: ChannelConfig, following: ChannelConfig, at_us: int) -> None:
    """Raise where a node's new certificate is not one of its organisation and role, and where the update leaves nobody
    who could bring a block or sign the next update. A node whose certificate has run out may stay: it harms nobody."""
    _check_new_certificates(following.peers, current.peers_by_fingerprint, following, "peer", at_us)
    _check_new_certificates(following.orderers, current.raft_nodes_by_fingerprint, following, "orderer", at_us)
    before, after = (_sound_orderers(config, at_us) for config in (current, following))
    if after < before and after <= len(following.orderers) // 2:
        raise InvalidConfigUpdate(
            f"the update leaves {after} of {len(following.orderers)} orderers with a certificate of their organisation "
            "that is valid and not revoked: peers would take no more blocks"
        )
    with_root = {
        mspid
        for mspid, msp in following.msps.msps.items()
        if any(root.not_before_us <= at_us <= root.not_after_us for root in msp.roots)
    }
    for path in (APPLICATION_ADMINS, ORDERER_ADMINS, CHANNEL_ADMINS):
        if following.policy(path).fewest(lambda principal: principal.mspid in with_root) is None:
            raise InvalidConfigUpdate(
                f"the update leaves {', '.join(sorted(with_root)) or 'no organisation'} with a root that is valid now: "
                f"these cannot meet {path}, so nobody could change the configuration any more"
            )


def _check_new_certificates(
    nodes: Mapping[str, Node], known: Mapping[str, Node], following: ChannelConfig, role: str, at_us: int
) -> None:
    for node in nodes.values():
        for certificate in node.certificates:
            if certificate.fingerprint not in known and not _is_of(following, node, certificate, role, at_us):
                raise InvalidConfigUpdate(
                    f"the new certificate of {node.name} is not one that a member of {node.mspid} has as {role} now"
                )


def _is_of(config: ChannelConfig, node: Node, certificate: Certificate, role: str, at_us: int) -> bool:
    try:
        identity = config.msps.identify(certificate, at_us)
    except IdentityError:
        return False
    return (identity.mspid, identity.role) == (node.mspid, role)


def _sound_orderers(config: ChannelConfig, at_us: int) -> int:
    return sum(
        any(_is_of(config, node, certificate, "orderer", at_us) for certificate in node.certificates)
        for node in config.orderers.values()
    )


def _changes(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[set[str], set[str]]:
    """The names that were added, and those that were removed."""
    return after.keys() - before.keys(), before.keys() - after.keys()


def parse_envelope(envelope: bytes) -> Transaction | ConfigUpdate:
    """Read either kind of envelope by the members that it has."""
    if envelope.startswith(CONFIG_PREFIX):
        return ConfigUpdate.parse(envelope)
    return Transaction.parse(envelope)


def envelope_id(envelope: bytes) -> str:
    """The id of the transaction in either kind of envelope: no more of it is read, nor looked at, than that takes."""
    if envelope.startswith(CONFIG_PREFIX):
        return ConfigUpdate.parse(envelope).tx_id
    return hash_of(text_of(jsontext.loads_texts(envelope), "proposal", max_length=len(envelope)))


def is_config_block(block: Block) -> bool:
    """Whether a block consists of one config transaction. The next block is judged under the configuration in it."""
    return len(block.envelopes) == 1 and block.envelopes[0].startswith(CONFIG_PREFIX)


def _signed_text(update_text: str) -> bytes:
    return f'{{"kind":"{SIGNATURE_KIND}","update":"{hash_of(update_text)}"}}'.encode("ascii")


def _signature(value: object) -> ConfigSignature:
    message = exactly(value, _SIGNATURE_MEMBERS, "a config signature")
    return ConfigSignature(
        from_base64(message["certificate"], "'certificate'"), from_base64(message["signature"], "'signature'")
    )
