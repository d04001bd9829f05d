"""Validation: gives every transaction of a block its code, the same at every peer.

The codes depend on the blocks, on the configuration and the ledger before them, and on nothing else: not on a
clock (dates are judged at the block's timestamp), not on the order in which signatures are checked. Two steps:

- :func:`examine` reads the envelopes and lists all signatures to be checked. It needs no ledger.
- :meth:`Examination.judge` takes the outcome of those checks, and the ledger, and gives each transaction its code.

Between the two the caller checks the signatures as it likes: one by one, in threads, in processes.

A transaction's code is the first of these that applies:

    NIL_ENVELOPE, BAD_PAYLOAD           the envelope is empty, or cannot be read, the creator's certificate included
    INVALID_CONFIG_TRANSACTION          a config transaction that does not follow, is not signed, or is not alone
    BAD_CREATOR_SIGNATURE               the client is no member at the block's time, or has not signed this
    TARGET_CHAIN_NOT_FOUND              the proposal is for another channel
    DUPLICATE_TXID                      the client's transaction of this id is on the chain, or earlier in the block
    INVALID_ENDORSER_TRANSACTION        the result is not this proposal's
    INVALID_CHAINCODE                   the channel has no such chaincode
    EXPIRED_CHAINCODE                   the result is of an older definition of the chaincode
    CHAINCODE_VERSION_CONFLICT          ... of one that is not defined yet
    BAD_RESPONSE_PAYLOAD                the chaincode refused, so there is nothing to commit
    ENDORSEMENT_POLICY_FAILURE          valid endorsements do not satisfy the chaincode's policy
    MVCC_READ_CONFLICT                  a key that was read has changed since
    PHANTOM_READ_CONFLICT               a range that was read has
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gridledger.errors import GridLedgerError
from gridledger.identity.certificate import Certificate
from gridledger.identity.errors import IdentityError
from gridledger.ledger.index import Invocation
from gridledger.ledger.world import Reads, WorldState
from gridledger.protocol.block import Block, BlockHeader
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.config_update import ConfigUpdate, parse_envelope, verify_update
from gridledger.protocol.errors import CapabilityUnknown
from gridledger.protocol.events import ChaincodeEvent
from gridledger.protocol.fields import hash_of
from gridledger.protocol.result import Endorsement, Event, Result, Version, endorsement_text
from gridledger.protocol.transaction import Transaction, signing_text

_VALID = TxValidationCode.VALID
UNAUTHENTICATED = frozenset((TxValidationCode.BAD_CREATOR_SIGNATURE, TxValidationCode.INVALID_CONFIG_TRANSACTION))
"""Codes of transactions that the client named as creator has not been shown to have sent. They do not use up the
transaction's id: else anyone who sees a proposal could spoil it by sending rubbish under its id first."""


class SignatureCheck(NamedTuple):
    """One signature to be checked."""

    certificate: Certificate
    signature: bytes
    data: bytes


VerifyMany = Callable[[Sequence[SignatureCheck]], Sequence[bool]]
"""Checks signatures, in any way; the answers stand in the order of the checks."""


def verify_one_by_one(checks: Sequence[SignatureCheck]) -> list[bool]:
    """Check signatures in this thread."""
    return [certificate.verify(signature, data) for certificate, signature, data in checks]


@dataclass(slots=True)
class Judged:
    """A validated block.

    ``tx_ids`` has an empty string where an envelope could not be read. ``indexed`` says which transactions the index
    of ids takes; ``invocations`` who calls what, None for what is no transaction of a client. ``writes`` are those of
    the valid transactions in order, as ((namespace, key), value, index); ``config`` is the new configuration, None in
    all but a valid config block.
    """

    block: Block
    codes: list[TxValidationCode] = field(default_factory=list)
    tx_ids: list[str] = field(default_factory=list)
    indexed: list[bool] = field(default_factory=list)
    invocations: list[Invocation | None] = field(default_factory=list)
    writes: list[tuple[tuple[str, str], bytes | None, int]] = field(default_factory=list)
    events: list[ChaincodeEvent] = field(default_factory=list)
    config: ChannelConfig | None = None


@dataclass(slots=True)
class _Candidate:
    """A transaction that was read. ``code`` is what is known of it before any signature is checked, should the client
    prove to have signed; ``check`` is the place of the client's signature among all checks, None where the client is
    nobody here; ``endorsers`` are (place of the check, MSP id)."""

    tx_id: str
    code: TxValidationCode
    invocation: Invocation | None = None
    result: Result | None = None
    update: ConfigUpdate | None = None
    check: int | None = None
    endorsers: list[tuple[int, str]] = field(default_factory=list)


class _Peer(NamedTuple):
    """A peer of the channel, and the certificate that it used."""

    signer: tuple[str, str]
    mspid: str
    certificate: Certificate


def validate(
    blocks: Sequence[Block], *, config: ChannelConfig, reads: Reads, verify_many: VerifyMany = verify_one_by_one
) -> list[Judged]:
    """Examine, check and judge blocks in one go. At most one may be a config block, and then it is the only one."""
    examination = examine(blocks, config)
    return examination.judge(verify_many(examination.checks), reads)


def examine(blocks: Sequence[Block], config: ChannelConfig) -> Examination:
    """Read all envelopes and list the signatures to be checked."""
    examination = Examination(config)
    for block in blocks:
        examination.add(block)
    return examination


class Examination:
    """Blocks that were read and wait for their signatures to be checked. ``checks`` lists these."""

    def __init__(self, config: ChannelConfig) -> None:
        self.config = config
        self.checks: list[SignatureCheck] = []
        self._blocks: list[tuple[Block, list[_Candidate]]] = []
        self._peers: dict[str, _Peer | None] = {}
        self._peers_at_us = -1
        self._enough: dict[tuple[str, tuple[str, ...]], bool] = {}

    def add(self, block: Block) -> None:
        """Read one more block."""
        at_us = block.header.timestamp_us
        self._blocks.append((block, [self._read(envelope, at_us) for envelope in block.envelopes]))

    def _read(self, envelope: bytes, at_us: int) -> _Candidate:
        if not envelope:
            return _Candidate("", TxValidationCode.NIL_ENVELOPE)
        try:
            message = parse_envelope(envelope)
            if isinstance(message, ConfigUpdate):
                return _Candidate(message.tx_id, TxValidationCode.INVALID_CONFIG_TRANSACTION, update=message)
            creator = message.proposal.certificate()
        except GridLedgerError:
            return _Candidate("", TxValidationCode.BAD_PAYLOAD)
        return self._examined(message, creator, at_us)

    def _examined(self, transaction: Transaction, creator: Certificate, at_us: int) -> _Candidate:
        # Of a transaction the result is kept and the rest let go, its proposal's arguments above all: memory that the
        # next one can use is still in the processor's cache.
        proposal = transaction.proposal
        candidate = _Candidate(transaction.tx_id, _VALID, None, transaction.result)
        try:
            mspid = self.config.msps.identify(creator, at_us).mspid
        except IdentityError:
            candidate.code, mspid = TxValidationCode.BAD_CREATOR_SIGNATURE, ""
        candidate.invocation = Invocation(
            mspid, creator.common_name, creator.fingerprint, proposal.chaincode, proposal.function
        )
        if not mspid:
            return candidate
        result_hash = transaction.result.hash
        signed = signing_text(transaction.tx_id, result_hash, hash_of(transaction.endorsements_text))
        candidate.check = len(self.checks)
        self.checks.append(SignatureCheck(creator, transaction.signature, signed))
        candidate.code = self._plain_faults(transaction)
        if candidate.code is _VALID:
            self._endorsements(candidate, transaction, result_hash, at_us)
        return candidate

    def _plain_faults(self, transaction: Transaction) -> TxValidationCode:
        """What is wrong with a transaction as it stands, whoever signed it."""
        proposal, result = transaction.proposal, transaction.result
        if proposal.channel != self.config.channel:
            return TxValidationCode.TARGET_CHAIN_NOT_FOUND
        if (result.tx_id, result.channel, result.chaincode, result.sequence) != (
            proposal.tx_id,
            proposal.channel,
            proposal.chaincode,
            proposal.sequence,
        ):
            return TxValidationCode.INVALID_ENDORSER_TRANSACTION
        definition = self.config.chaincodes.get(proposal.chaincode)
        if definition is None:
            return TxValidationCode.INVALID_CHAINCODE
        if proposal.sequence != definition.sequence:
            older = proposal.sequence < definition.sequence
            return TxValidationCode.EXPIRED_CHAINCODE if older else TxValidationCode.CHAINCODE_VERSION_CONFLICT
        if not 200 <= result.response.status < 400:  # noqa: PLR2004 - as HTTP: from 400 on it is a refusal
            return TxValidationCode.BAD_RESPONSE_PAYLOAD
        return _VALID

    def _endorsements(self, candidate: _Candidate, transaction: Transaction, result_hash: str, at_us: int) -> None:
        """List the endorsements that can count: by a peer of the channel, one for each signer (MSP id and subject),
        under whichever certificate."""
        found: dict[tuple[str, str], tuple[_Peer, Endorsement]] = {}
        for item in transaction.endorsements:
            peer = self._peer(item.endorser, at_us)
            if peer is not None:
                found.setdefault(peer.signer, (peer, item))
        signers = tuple([peer.mspid for peer, _ in found.values()])
        if not self._are_enough(transaction.proposal.chaincode, signers):
            candidate.code = TxValidationCode.ENDORSEMENT_POLICY_FAILURE
            return
        checks, endorsers = self.checks, candidate.endorsers
        for peer, item in found.values():
            endorsers.append((len(checks), peer.mspid))
            text = endorsement_text(item.endorser, result_hash)
            checks.append(SignatureCheck(peer.certificate, item.signature, text))

    def _are_enough(self, chaincode: str, mspids: tuple[str, ...]) -> bool:
        """Whether one peer of each of these organisations satisfies the chaincode's policy."""
        key = (chaincode, mspids)
        answer = self._enough.get(key)
        if answer is None:
            policy = self.config.endorsement_policy(chaincode)
            answer = self._enough[key] = policy.satisfied_by([(mspid, "peer") for mspid in mspids])
        return answer

    def _peer(self, fingerprint: str, at_us: int) -> _Peer | None:
        """The peer of the channel that has this certificate, None for anything else."""
        if at_us != self._peers_at_us:
            self._peers, self._peers_at_us = {}, at_us
        try:
            return self._peers[fingerprint]
        except KeyError:
            found = self._peers[fingerprint] = self._identified_peer(fingerprint, at_us)
            return found

    def _identified_peer(self, fingerprint: str, at_us: int) -> _Peer | None:
        node = self.config.peers_by_fingerprint.get(fingerprint)
        if node is None:
            return None
        certificate = node.certificate_with(fingerprint)
        try:
            identity = self.config.msps.identify(certificate, at_us)
        except IdentityError:
            return None
        is_peer = (identity.mspid, identity.role) == (node.mspid, "peer")
        return _Peer(identity.signer, node.mspid, certificate) if is_peer else None

    def invocations(self) -> list[list[Invocation | None]]:
        """Who calls what, of each block."""
        return [[candidate.invocation for candidate in candidates] for _, candidates in self._blocks]

    def judge(self, outcomes: Sequence[bool], reads: Reads) -> list[Judged]:
        """Give each transaction its code, from the outcomes of ``checks`` and the ledger before the first block."""
        return _JudgingRound(self.config, outcomes, reads).judge(self._blocks)


def _chaincode_event(header: BlockHeader, index: int, result: Result, event: Event) -> ChaincodeEvent:
    return ChaincodeEvent(
        channel=header.channel,
        chaincode=result.chaincode,
        name=event.name,
        payload=event.payload,
        tx_id=result.tx_id,
        block=header.number,
        index=index,
        timestamp_us=header.timestamp_us,
    )


class _JudgingRound:
    """One round of judging: what earlier transactions of the same round have done is known to the later ones."""

    def __init__(self, config: ChannelConfig, outcomes: Sequence[bool], reads: Reads) -> None:
        self._config = config
        self._outcomes = outcomes
        self._reads = reads
        self._world = WorldState(reads)
        self._taken: dict[str, bool] = {}  # transaction id -> whether the client was shown to have sent it

    def judge(self, blocks: Sequence[tuple[Block, list[_Candidate]]]) -> list[Judged]:
        return [self._judged(block, candidates) for block, candidates in blocks]

    def _judged(self, block: Block, candidates: list[_Candidate]) -> Judged:
        judged = Judged(block)
        for index, candidate in enumerate(candidates):
            if candidate.update is not None:
                code = self._config_code(judged, candidate.update)
            else:
                code = self._code(candidate)
            judged.indexed.append(self._takes_id(candidate.tx_id, code))
            if code is _VALID and candidate.result is not None:
                self._take_effect(judged, candidate.result, index)
            judged.codes.append(code)
            judged.tx_ids.append(candidate.tx_id)
            judged.invocations.append(candidate.invocation)
        return judged

    def _code(self, candidate: _Candidate) -> TxValidationCode:
        result, outcomes = candidate.result, self._outcomes
        if result is None:
            return candidate.code
        if candidate.check is None or not outcomes[candidate.check]:
            return TxValidationCode.BAD_CREATOR_SIGNATURE
        if candidate.code is TxValidationCode.TARGET_CHAIN_NOT_FOUND:
            return candidate.code
        if self._known(candidate.tx_id):
            return TxValidationCode.DUPLICATE_TXID
        if candidate.code is not _VALID:
            return candidate.code
        genuine = [(mspid, "peer") for place, mspid in candidate.endorsers if outcomes[place]]
        # All of them together were found to be enough when they were listed.
        if len(genuine) != len(candidate.endorsers):
            policy = self._config.endorsement_policy(result.chaincode)
            if not policy.satisfied_by(genuine):
                return TxValidationCode.ENDORSEMENT_POLICY_FAILURE
        return self._world.conflict(result)

    def _config_code(self, judged: Judged, update: ConfigUpdate) -> TxValidationCode:
        block = judged.block
        if len(block.envelopes) == 1:
            try:
                judged.config = verify_update(self._config, update, block.header.timestamp_us)
            except CapabilityUnknown:
                raise  # to newer nodes the update may be valid: a code from here would fork the ledger
            except GridLedgerError:
                return TxValidationCode.INVALID_CONFIG_TRANSACTION
            return _VALID
        return TxValidationCode.INVALID_CONFIG_TRANSACTION

    def _take_effect(self, judged: Judged, result: Result, index: int) -> None:
        number = judged.block.header.number
        for place, value in self._world.apply(result, Version(number, index)):
            judged.writes.append((place, value, index))
        if result.event is not None:
            judged.events.append(_chaincode_event(judged.block.header, index, result, result.event))

    def _known(self, tx_id: str) -> bool | None:
        """Whether the id is taken by its own client (True), was used by who knows whom (False), or is new (None)."""
        if tx_id not in self._taken:
            found = self._reads.find(tx_id)
            if found is None:
                return None
            self._taken[tx_id] = found[2] not in UNAUTHENTICATED
        return self._taken[tx_id]

    def _takes_id(self, tx_id: str, code: TxValidationCode) -> bool:
        if not tx_id:
            return False
        known, authentic = self._known(tx_id), code not in UNAUTHENTICATED
        if known or (known is False and not authentic):
            return False
        self._taken[tx_id] = authentic
        return True
