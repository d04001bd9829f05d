"""Mutations written by hand: each breaks what the words beside it say."""

from __future__ import annotations

from tests.mutants.mutation import Mutation

_CORE = "services/orderer/raft/core.py"
_ELECTION = "services/orderer/raft/election.py"
_REPLICATION = "services/orderer/raft/replication.py"
_LOG = "services/orderer/raft/log.py"
_GROUP = "services/orderer/raft/group.py"
_WAL = "services/orderer/raft/wal.py"
_SEQUENCER = "services/orderer/sequencer.py"
_FOLLOWER = "services/orderer/membership_follower.py"
_STEPS = "services/orderer/membership_steps.py"
_CHAIN = "services/orderer/chain.py"
_CATCHING_UP = "services/orderer/catching_up.py"
_BLOCK_STORE = "services/orderer/block_store.py"
_SUBMISSION = "services/orderer/submission.py"
_QUEUE = "services/peer/gateway/ordering_queue.py"
_VERIFICATION = "services/peer/gateway/verification.py"
_KNOWN = "services/peer/committer/known_signatures.py"
_COMMITTER = "gridledger/ledger/committer.py"
_VALIDATION = "gridledger/ledger/validation.py"
_WORLD = "gridledger/ledger/world.py"
_COMMIT_HASH = "gridledger/protocol/commit_hash.py"
_LMDB = "gridledger/ledger/lmdb_store.py"
_AUTHORITY = "gridledger/protocol/config_authority.py"
_CONFIG_UPDATE = "gridledger/protocol/config_update.py"
_POLICY = "gridledger/identity/policy.py"
_MSP = "gridledger/identity/msp.py"

WRITTEN = (
    # Raft: at most one leader a term, nothing committed is lost, nothing told before it is durable.
    Mutation(
        _CORE,
        "a vote in a known term is not saved",
        "state[:2] == self._saved_state[:2]",
        "state[0] == self._saved_state[0]",
    ),
    Mutation(_CORE, "a node takes messages for another", "if message.to != self.node_id:", "if False:"),
    Mutation(_CORE, "an older term's messages are heard", "elif message.term < self.term:", "elif message.term < 0:"),
    Mutation(
        _CORE,
        "a membership change is taken while another is under way",
        "if log.membership_index > log.commit:",
        "if False:",
    ),
    Mutation(
        _CORE,
        "a leader changes the membership before it commits an entry",
        "if log.term(log.commit) != self.term:",
        "if False:",
    ),
    Mutation(
        _CORE,
        "Readies are advanced in any order",
        "if ready.number != self._number - len(self._own_votes) + 1:",
        "if False:",
    ),
    Mutation(
        _CORE, "what waits for the disk is sent at once", "            if not log.saving:\n", "            if True:\n"
    ),
    Mutation(_CORE, "an entry beyond the bound is taken", "if len(data) > settings.max_entry_bytes:", "if False:"),
    Mutation(
        _CORE,
        "a node that hears its leader is deposed by any candidate",
        "and self._hears_leader() and not message.transfer",
        "and False",
    ),
    Mutation(
        _ELECTION,
        "a second vote is given in one term",
        "free = self.vote is None and self.leader is None",
        "free = True",
    ),
    Mutation(
        _ELECTION,
        "a vote is given to a shorter log",
        " and self.log.is_up_to_date(message.index, message.log_term)\n",
        "\n",
    ),
    Mutation(
        _ELECTION,
        "a server that lost its log votes",
        "granted = may and not self.lost_its_log and",
        "granted = may and",
    ),
    Mutation(
        _CORE,
        "a reply of a server that is no member is heard",
        "if message.kind in REPLIES and not self._asks(message.sender):",
        "if False:",
    ),
    Mutation(
        _REPLICATION,
        "an acknowledgement beyond the leader's own log is passed over in silence",
        "        if message.index > self.log.last_index:\n            self._note_beyond(message)\n",
        "        if False:\n            self._note_beyond(message)\n",
    ),
    Mutation(
        _REPLICATION,
        "an entry beyond the bound of the clock is held",
        "            if not self.accepts(entry.data):\n",
        "            if False:\n",
    ),
    Mutation(
        _REPLICATION,
        "a leader whom a majority does not believe leads on",
        "if not against or missing <= len(self.membership.voters) - self.quorum:",
        "if True:",
    ),
    Mutation(_ELECTION, "the vote given is forgotten", "            self.vote = message.sender\n", ""),
    Mutation(
        _ELECTION, "half of the votes elect", "if sum(counted) >= self.quorum:", "if sum(counted) >= self.quorum - 1:"
    ),
    Mutation(
        _ELECTION, "a leader without a majority leads on", "        if heard < self.quorum:\n", "        if False:\n"
    ),
    Mutation(
        _ELECTION,
        "a follower that is no voter stands",
        "return voter and log.pending_snapshot is None",
        "return log.pending_snapshot is None",
    ),
    Mutation(
        _REPLICATION,
        "half of the followers commit",
        "index = matches[self.quorum - 1]",
        "index = matches[self.quorum - 2]",
    ),
    Mutation(
        _REPLICATION,
        "an entry of a former term is committed by counting",
        "if index > self.log.commit and self.log.term(index) == self.term:",
        "if index > self.log.commit:",
    ),
    Mutation(
        _REPLICATION,
        "the leader counts what it has not made durable",
        "return self.log.stable if voter == self.node_id",
        "return self.log.last_index if voter == self.node_id",
    ),
    Mutation(
        _REPLICATION,
        "a follower commits what it was not shown to share",
        "min(self._leader_commit, self._verified)",
        "min(self._leader_commit, log.last_index)",
    ),
    Mutation(
        _REPLICATION,
        "an append is taken wherever it belongs",
        "if not log.matches(message.index, message.log_term):",
        "if False:",
    ),
    Mutation(
        _LOG,
        "a late duplicate shortens the log",
        "            if self.matches(entry.index, entry.term):\n                continue\n",
        "",
    ),
    Mutation(
        _LOG, "a conflicting tail stays", "                self._truncate(entry.index - 1)\n", "                pass\n"
    ),
    Mutation(_LOG, "what was truncated counts as durable", "        self._clamp_stable(last)\n", ""),
    Mutation(
        _LOG,
        "entries are applied before they are durable here",
        "end = min(self.commit, self.stable)",
        "end = self.commit",
    ),
    Mutation(
        _GROUP,
        "another entry in the place is told as ours",
        "            if log.term(index) == term:\n",
        "            if True:\n",
    ),
    Mutation(
        _GROUP,
        "a proposal is answered before it is committed",
        "while proposals and proposals[0][0] <= log.commit:",
        "while proposals:",
    ),
    # Raft follows the configuration: one change at a time, and nobody decides who has not what is decided on.
    Mutation(
        _FOLLOWER,
        "a learner is promoted before it has caught up",
        "            if rounds.caught_up(match, applied, status.last):\n",
        "            if True:\n",
    ),
    Mutation(
        _STEPS,
        "a learner is promoted before it has the blocks",
        "return (self._fast or close) and applied >= self._first",
        "return self._fast or close",
    ),
    Mutation(
        _STEPS,
        "a leader that is to go leads on",
        "if node_of(situation.leader) not in situation.wanted and (heir := _heir(situation)):",
        "if False and (heir := _heir(situation)):",
    ),
    Mutation(
        _STEPS,
        "a leader removes itself",
        "situation.unwanted(membership.voters - {situation.leader})",
        "situation.unwanted(membership.voters)",
    ),
    Mutation(
        _STEPS,
        "a voter is removed before the new one votes",
        "    if situation.without_voter():\n        return None\n    for voter",
        "    for voter",
    ),
    Mutation(
        _STEPS,
        "a learner counts as a voter when the next change is asked for",
        "{node_of(voter) for voter in membership.voters} == set(wanted) and not membership.learners",
        "{node_of(voter) for voter in membership.everyone} == set(wanted)",
    ),
    Mutation(
        _SEQUENCER,
        "orderers change while the last change is under way",
        "        check_change(config.orderers.keys(), following, membership, forgotten)\n",
        "",
    ),
    Mutation(
        _CHAIN,
        "an orderer signs blocks that do not name it",
        "        if self._may_sign:\n",
        "        if True:\n",
    ),
    # The write-ahead log: what is told to be durable is.
    Mutation(_WAL, "a batch is not synced", "            self._disk.fdatasync(self._fd)\n", ""),
    Mutation(
        _WAL,
        "a batch's checksum is not looked at",
        "whole = len(payload) == length and zlib.crc32(payload, salt) == payload_crc",
        "whole = len(payload) == length",
    ),
    Mutation(
        _WAL,
        "damage with whole batches behind it is cut off",
        "        _refuse_batches_behind(path, data, offset, number, salt)\n",
        "        pass\n",
    ),
    Mutation(
        _WAL,
        "a segment that is needed is dropped",
        "while len(self._segments) > 1 and not self._needed_by(self._segments[0]):",
        "while len(self._segments) > 1:",
    ),
    # Ordering: acknowledged means ordered, and every orderer makes the same block.
    Mutation(
        _SEQUENCER,
        "a batch is acknowledged before consensus answered",
        "            self._proposed = await self._consensus.propose(self._chain.channel, entry)\n",
        "            _settle(batch, None)\n"
        "            self._proposed = await self._consensus.propose(self._chain.channel, entry)\n",
    ),
    Mutation(
        _SEQUENCER,
        "a failed batch is acknowledged",
        "            _settle(batch, error)\n",
        "            _settle(batch, None)\n",
    ),
    Mutation(
        _CHAIN,
        "a channel's time goes back",
        "timestamp_us=max(timestamp_us, last.timestamp_us)",
        "timestamp_us=timestamp_us",
    ),
    Mutation(
        _CHAIN,
        "a fetched block's signature is not checked",
        "        or not orderer.certificate_with(signed.orderer).verify(signed.signature, header.text.encode())\n",
        "",
    ),
    Mutation(_CHAIN, "a fetched block's transactions are not checked", "        or not block.data_hash_holds()\n", ""),
    Mutation(
        _CATCHING_UP,
        "where a fetch ends is not checked, at its last block",
        "if number == self._height - 1 and block.header.hash != self._hash:",
        "if False:",
    ),
    Mutation(
        _CATCHING_UP,
        "where a fetch ends is not checked, of what an earlier start fetched",
        "if self._chain.header(self._height - 1).hash == self._hash:",
        "if True:",
    ),
    Mutation(
        _CHAIN,
        "blocks are fetched from another channel",
        "        header.channel != config.channel\n        or header.number",
        "        header.number",
    ),
    Mutation(
        _CHAIN,
        "a fetched chain is not made durable",
        "snapshot.index)\n        await asyncio.to_thread(self.store.sync)\n",
        "snapshot.index)\n",
    ),
    Mutation(
        _CHAIN,
        "a snapshot is named before its blocks are durable",
        "        await asyncio.to_thread(self.store.sync)\n        return jsontext",
        "        return jsontext",
    ),
    Mutation(_BLOCK_STORE, "blocks are not synced", "            self._disk.fdatasync(self._blocks)\n", ""),
    Mutation(_BLOCK_STORE, "offsets are not synced", "            self._disk.fdatasync(self._offsets)\n", ""),
    Mutation(_SUBMISSION, "a transaction for another channel is ordered", "if channel != config.channel:", "if False:"),
    Mutation(
        _SUBMISSION,
        "a transaction under another's signature is ordered",
        "    if not certificate.verify(",
        "    if False and not certificate.verify(",
    ),
    Mutation(
        _SUBMISSION,
        "who may not write orders",
        "    config.admit(BROADCAST, identity)\n",
        "",
    ),
    Mutation(
        _QUEUE,
        "an unknown outcome is told as not ordered",
        'outcome = "unknown" if pending.maybe_sent else "not ordered"',
        'outcome = "not ordered"',
    ),
    # Who may change what: nobody becomes an organisation but itself.
    Mutation(
        _AUTHORITY,
        "others change an organisation's entry",
        "    return (_own_admins(change.path[1], before),)",
        "    return (APPLICATION_ADMINS,)",
    ),
    Mutation(
        _AUTHORITY,
        "a peer is moved by the one it goes to alone",
        "in (change.before, change.after):",
        "in (change.after,):",
    ),
    Mutation(_AUTHORITY, "what no rule names may be changed", "        if not needed:\n", "        if False:\n"),
    Mutation(
        _AUTHORITY,
        "an organisation comes back with another root",
        "entry_hash(entries[mspid]) != removed[mspid]",
        "False",
    ),
    Mutation(
        _CONFIG_UPDATE,
        "a removed organisation is forgotten",
        'if after.get("removed_organisations", {}) != removed_after(before, after):',
        "if False:",
    ),
    Mutation(
        _CONFIG_UPDATE,
        "a capability that nobody has agreed on stops a node",
        'if "capabilities" in after and current.policy(CHANNEL_ADMINS).satisfied_by(signers):',
        'if "capabilities" in after:',
    ),
    Mutation(
        _VALIDATION,
        "an update under a capability that is not known gets a code",
        "            except CapabilityUnknown:\n",
        "            except ZeroDivisionError:\n",
    ),
    # Validation and commit: peers agree to the bit.
    Mutation(
        _COMMITTER,
        "an orderer's signature is not looked at",
        "genuine = list(takewhile(bool, outcomes[: len(signed)]))",
        "genuine = outcomes[: len(signed)]",
    ),
    Mutation(_COMMITTER, "a block of another chain is taken", "if header.previous_hash != header_hash:", "if False:"),
    Mutation(_COMMITTER, "a block's transactions are not its header's", "if not block.data_hash_holds():", "if False:"),
    Mutation(
        _COMMITTER,
        "blocks before a config block are judged with it",
        "if taken and (alone or room < 0):",
        "if taken and room < 0:",
    ),
    Mutation(
        _VALIDATION,
        "one endorser counts as often as it signs",
        "found.setdefault(peer.signer, (peer, item))",
        "found.setdefault((item.endorser, str(len(found))), (peer, item))",
    ),
    Mutation(
        _VALIDATION,
        "endorsements count whoever signed them",
        'genuine = [(mspid, "peer") for place, mspid in candidate.endorsers if outcomes[place]]',
        'genuine = [(mspid, "peer") for place, mspid in candidate.endorsers]',
    ),
    Mutation(_VALIDATION, "a transaction is valid twice", "if self._known(candidate.tx_id):", "if False:"),
    Mutation(
        _VALIDATION,
        "who saw a proposal spoils its id",
        "if known or (known is False and not authentic):",
        "if known is not None:",
    ),
    Mutation(
        _VALIDATION,
        "a result of another proposal is valid",
        "            return TxValidationCode.INVALID_ENDORSER_TRANSACTION\n",
        "            pass\n",
    ),
    Mutation(_VALIDATION, "a config transaction among others is valid", "if len(block.envelopes) == 1:", "if True:"),
    Mutation(_WORLD, "a stale read is valid", "            if now != version:\n", "            if False:\n"),
    Mutation(
        _WORLD,
        "a changed range is valid",
        "            if not self._unchanged(namespace, item):\n",
        "            if False:\n",
    ),
    Mutation(
        _WORLD,
        "what an earlier transaction of the block wrote is not seen",
        "            change = changes.get((namespace, key))\n",
        "            change = None\n",
    ),
    Mutation(_COMMIT_HASH, "the codes are not in the commit hash", "bytes(codes)]", 'b""]'),
    Mutation(
        _COMMIT_HASH,
        "a deletion hashes as an empty value",
        "_DELETE if value is None else _PUT + value",
        '_PUT + (value or b"")',
    ),
    Mutation(
        _LMDB,
        "a commit is not synced",
        "            max_spare_txns=1,\n",
        "            max_spare_txns=1,\n            sync=False,\n",
    ),
    Mutation(
        _LMDB,
        "a commit's pointer is not synced",
        "            max_spare_txns=1,\n",
        "            max_spare_txns=1,\n            metasync=False,\n",
    ),
    Mutation(_LMDB, "two committers write one ledger", "!= batch.head_before:", "is None:"),
    Mutation(_POLICY, "one signer counts for all of its organisation's places", "        self._spent[role] += 1\n", ""),
    Mutation(
        _MSP,
        "a revoked certificate is let in",
        "if (certificate.issuer_der, certificate.serial) in msp.revoked:",
        "if False:",
    ),
    Mutation(
        _MSP,
        "an expired certificate is let in",
        "if judgement.not_before_us <= at_us <= judgement.not_after_us:",
        "if True:",
    ),
    Mutation(_MSP, "a revocation list need not be signed", "        if not signed:\n", "        if False:\n"),
    Mutation(
        _MSP,
        "a CA's own certificate is an identity",
        "if certificate.is_authority or not certificate.may_sign:",
        "if False:",
    ),
    Mutation(
        _VERIFICATION,
        "another peer's endorsement is believed",
        "if not check.certificate.verify(check.signature, check.data):",
        "if False:",
    ),
    Mutation(
        _KNOWN, "a known text passes under any signature", "(head, check.signature, check.data)", "(head, check.data)"
    ),
    Mutation(_KNOWN, "a known signature is anybody's", 'check.certificate.fingerprint.encode("ascii")', 'b""'),
)
