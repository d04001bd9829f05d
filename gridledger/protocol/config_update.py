"""Config transactions: a channel's next configuration, signed by the admins that the present one asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gridledger import jsontext
from gridledger.errors import GridLedgerError, InputError, MalformedMessage, PermissionDeniedError
from gridledger.identity.certificate import Certificate
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.block import Block
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.fields import exactly, from_base64, hash_of, parse_object, text_of, to_base64
from gridledger.protocol.transaction import Transaction

KIND = "config_update"
CONFIG_PREFIX = b'{"config_update":'
"""How every config transaction's envelope begins, and no other."""

SIGNATURE_KIND = "config_signature"
MAX_SIGNATURES = 1000
_MEMBERS = frozenset(("config_update", "signatures"))
_UPDATE_MEMBERS = frozenset(("kind", "config"))
_SIGNATURE_MEMBERS = frozenset(("certificate", "signature"))


class InvalidConfigUpdate(InputError):
    """A config transaction that does not follow from the present configuration."""

    code = "INVALID_CONFIG_UPDATE"


@dataclass(frozen=True, slots=True)
class ConfigSignature:
    """One admin's signature under an update."""

    certificate: Certificate
    signature: bytes


@dataclass(frozen=True, slots=True)
class ConfigUpdate:
    """A config transaction: the whole next configuration, and the admins' signatures.

    It names the sequence that it makes, so that of two updates made side by side the second is refused.
    """

    text: str
    config: ChannelConfig
    signatures: tuple[ConfigSignature, ...]

    @property
    def tx_id(self) -> str:
        """SHA-256 of the update's text."""
        return hash_of(self.text)

    @classmethod
    def build(cls, config: ChannelConfig, signers: Sequence[SigningIdentity] = ()) -> ConfigUpdate:
        """Write the update that makes ``config`` and sign it. Block 0's has no signatures."""
        text = jsontext.dumps({"kind": KIND, "config": config.text}).decode()
        signed = _signed_text(text)
        signatures = tuple(ConfigSignature(signer.certificate, signer.sign(signed)) for signer in signers)
        return cls(text, config, signatures)

    def to_bytes(self) -> bytes:
        """The envelope."""
        signatures = [
            {"certificate": to_base64(item.certificate.der), "signature": to_base64(item.signature)}
            for item in self.signatures
        ]
        return jsontext.dumps({"config_update": self.text, "signatures": signatures})

    @classmethod
    def parse(cls, envelope: bytes) -> ConfigUpdate:
        """Read an envelope; nothing is verified yet."""
        message = exactly(jsontext.loads(envelope), _MEMBERS, "a config transaction")
        text = text_of(message, "config_update", max_length=16 * 1024 * 1024)
        update = exactly(parse_object(text, KIND), _UPDATE_MEMBERS, "a config update")
        signatures = message["signatures"]
        if not isinstance(signatures, list) or len(signatures) > MAX_SIGNATURES:
            raise MalformedMessage(f"'signatures' must be a list of at most {MAX_SIGNATURES}")
        config = ChannelConfig.parse(text_of(update, "config", max_length=16 * 1024 * 1024))
        return cls(text, config, tuple(_signature(item) for item in signatures))


def verify_update(current: ChannelConfig, update: ConfigUpdate, at_us: int) -> ChannelConfig:
    """The configuration that follows ``current`` by ``update``, judged at ``at_us`` (the block's timestamp).

    Raises :class:`InvalidConfigUpdate` where channel or sequence do not follow, and :class:`PermissionDeniedError`
    where the valid signatures do not satisfy the present admins policy.
    """
    following = update.config
    if following.channel != current.channel:
        raise InvalidConfigUpdate(f"the update is for the channel {following.channel!r}, this is {current.channel!r}")
    if following.sequence != current.sequence + 1:
        raise InvalidConfigUpdate(
            f"the update makes sequence {following.sequence}, the channel is at {current.sequence}: "
            "read the present configuration and make the update from it",
            current=current.sequence,
        )
    if following.orderers.keys() != current.orderers.keys():
        # Raft's members do not follow the config: a quorum counted by one of them would not be the other's.
        added, removed = (sorted(names) for names in _changes(current.orderers, following.orderers))
        raise InvalidConfigUpdate(
            f"the update adds the orderers {added} and removes {removed}: a channel keeps its orderers; a new URL or "
            "certificate of an orderer that the channel has is allowed",
            added=added,
            removed=removed,
        )
    for name, before in current.chaincodes.items():
        after = following.chaincodes.get(name)
        if after is not None and after != before and after.sequence != before.sequence + 1:
            raise InvalidConfigUpdate(f"chaincode {name!r}: the next definition has the sequence {before.sequence + 1}")
    signed = _signed_text(update.text)
    signers: dict[str, tuple[str, str]] = {}
    for item in update.signatures:
        try:
            identity = current.msps.identify(item.certificate, at_us)
        except GridLedgerError:
            continue
        if item.certificate.verify(item.signature, signed):
            signers[item.certificate.fingerprint] = (identity.mspid, identity.role)
    if not current.policy("admins").satisfied_by(signers.values()):
        raise PermissionDeniedError(
            f"{len(signers)} valid signatures do not satisfy the admins policy {current.policies['admins']!r}",
            signers=sorted(mspid for mspid, _ in signers.values()),
        )
    return following


def _changes(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[set[str], set[str]]:
    """The names that were added, and those that were removed."""
    return after.keys() - before.keys(), before.keys() - after.keys()


def parse_envelope(envelope: bytes) -> Transaction | ConfigUpdate:
    """Read either kind of envelope by the members that it has."""
    if envelope.startswith(CONFIG_PREFIX):
        return ConfigUpdate.parse(envelope)
    return Transaction.parse(envelope)


def is_config_block(block: Block) -> bool:
    """Whether a block consists of one config transaction. The next block is judged under the configuration in it."""
    return len(block.envelopes) == 1 and block.envelopes[0].startswith(CONFIG_PREFIX)


def _signed_text(update_text: str) -> bytes:
    return f'{{"kind":"{SIGNATURE_KIND}","update":"{hash_of(update_text)}"}}'.encode("ascii")


def _signature(value: object) -> ConfigSignature:
    message = exactly(value, _SIGNATURE_MEMBERS, "a config signature")
    certificate = Certificate.from_der(from_base64(message["certificate"], "'certificate'"))
    return ConfigSignature(certificate, from_base64(message["signature"], "'signature'"))
