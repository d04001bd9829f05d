"""A channel of the model: gateways' ordering queues, the orderers, and the commit on every peer."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from simpy import AllOf, Environment, Event

from benchmarks.model.costs import LEADER_SHARE, Costs
from benchmarks.model.deployment import ORDERERS
from benchmarks.model.nodes import VERIFY_THREADS, ModelOrderer, ModelPeer
from benchmarks.model.stations import Batches, Steps
from gridledger.ledger.committer import LEAST_SHARE
from gridledger.protocol.limits import BatchLimits
from services.orderer.pace import Pace
from services.orderer.settings import Pacing
from services.peer.committer.chain_committer import BEHIND
from services.peer.settings import CommitterLimits, OrderingLimits

BATCH, ORDERING, COMMITTER = BatchLimits(), OrderingLimits(), CommitterLimits()
"""The defaults of a channel's blocks, of a gateway's ordering queue and of a committer."""
ANSWER_BYTES = 100.0
FOLLOWER_SHARE = (1 - LEADER_SHARE) / (ORDERERS - 1)


@dataclass(slots=True)
class ModelTransaction:
    """A transaction under way: the peer of its gateway, and the event of its commit there."""

    gateway: ModelPeer
    committed: Event


class Quorum:
    """Counts the orderers that have a batch on disk; ``reached`` is the event that ``needed`` of them have it."""

    def __init__(self, env: Environment, needed: int) -> None:
        self.reached = env.event()
        self._missing = needed

    def add(self) -> None:
        """Count one more."""
        self._missing -= 1
        if self._missing == 0:
            self.reached.succeed()


@dataclass(slots=True)
class ModelBlock:
    """A block, and its size in bytes."""

    transactions: list[ModelTransaction]
    size: float


class ModelChannel:
    """A channel. Each of its transactions stands for ``tx_weight`` real ones, and the channel, to its orderers, for
    ``order_weight`` channels like it. Both are 1 unless a few shards stand for many (docs/scale.md)."""

    def __init__(
        self,
        env: Environment,
        name: str,
        costs: Costs,
        *,
        peers: Sequence[ModelPeer],
        orderers: Sequence[ModelOrderer],
        leader: int,
        endorsers: int,
        receivers: float,
        pacing: Pacing,
        tx_weight: float = 1.0,
        order_weight: float = 1.0,
    ) -> None:
        self.env = env
        self.name = name
        self.peers = peers
        self.endorsers = endorsers
        self.blocks = 0
        self.ordered = 0
        self._costs = costs
        self._leader = orderers[leader % len(orderers)]
        self._followers = [orderer for orderer in orderers if orderer is not self._leader]
        self._sources = orderers
        self._receivers = receivers
        self._tx_weight = tx_weight
        self._order_weight = order_weight
        self._max_batch = max(1, int(BATCH.max_message_count / tx_weight))
        self._pace = Pace(pacing)
        self._arrived = env.event()
        self._full = env.event()
        self._waiting: deque[tuple[ModelTransaction, Event]] = deque()
        self._turn = 0
        self._queues = {
            peer.name: Batches(
                env, max(1, int(ORDERING.max_batch / peer.weight)), ORDERING.max_in_flight, self._broadcast
            )
            for peer in peers
        }
        self._behind: set[str] = set()
        self._commits = {
            peer.name: Batches(env, COMMITTER.max_blocks_per_commit, 1, partial(self._commit, peer)) for peer in peers
        }
        env.process(self._sequence())

    def submit(self, transaction: ModelTransaction) -> None:
        """Queue a transaction at its gateway."""
        self._queues[transaction.gateway.name].put(transaction)

    def next_gateway(self) -> ModelPeer:
        """The channel's peers in turn."""
        self._turn += 1
        return self.peers[self._turn % len(self.peers)]

    def endorsing(self, gateway: ModelPeer) -> list[ModelPeer]:
        """The other peers that endorse for a gateway, in turn."""
        others = [peer for peer in self.peers if peer is not gateway]
        self._turn += 1
        return [others[(self._turn + offset) % len(others)] for offset in range(self.endorsers - 1)]

    def _bytes(self, count: int) -> float:
        return count * self._costs.size(self.endorsers)

    def _order_s(self, count: int, share: float) -> float:
        """A share of the core time that orderers spend on so many transactions."""
        return share * count * self._costs.orderer * self._tx_weight * self._order_weight

    def _broadcast(self, batch: list[ModelTransaction]) -> Steps:
        """Send a batch from its gateway to the leader, until it is in the replicated, durable log."""
        gateway = batch[0].gateway
        yield gateway.link.send(self._bytes(len(batch)) * gateway.weight)
        # The leader also checks the submitter, which the other orderers do not.
        yield self._leader.loop.work(self._order_s(len(batch), LEADER_SHARE - FOLLOWER_SHARE))
        durable = [self.env.event() for _ in batch]
        self._waiting.extend(zip(batch, durable, strict=True))
        if not self._arrived.triggered:
            self._arrived.succeed()
        if len(self._waiting) >= self._max_batch and not self._full.triggered:
            self._full.succeed()
        yield AllOf(self.env, durable)
        yield self._leader.link.send(ANSWER_BYTES * len(batch))

    def _sequence(self) -> Steps:
        """Order one batch at a time, paced by the orderer's own code (services/orderer/pace.py)."""
        next_cut = 0.0
        while True:
            if not self._waiting:
                self._arrived = self.env.event()
                yield self._arrived
            yield from self._wait_until(next_cut)
            batch = [self._waiting.popleft() for _ in range(min(self._max_batch, len(self._waiting)))]
            started = self.env.now
            self._pace.cut(round(len(batch) * self._tx_weight), started)
            next_cut = self._pace.next_cut(BATCH.min_interval_ms, started)
            yield from self._replicate([transaction for transaction, _ in batch])
            self._pace.ordered(self.env.now - started)
            for _, durable in batch:
                durable.succeed()

    def _wait_until(self, next_cut: float) -> Steps:
        """Wait until ``next_cut``, or until the batch is full if no peer is behind."""
        due = self.env.timeout(max(0.0, next_cut - self.env.now))
        if self._pace.backlog(self.env.now) > 1:
            yield due
        elif len(self._waiting) < self._max_batch:
            self._full = self.env.event()
            yield due | self._full

    def _replicate(self, transactions: list[ModelTransaction]) -> Steps:
        """Write a batch to the logs of all orderers until a majority has it, and deliver it as a block."""
        count = len(transactions)
        majority = Quorum(self.env, (1 + len(self._followers)) // 2 + 1)
        self.env.process(self._append(self._leader, count, LEADER_SHARE, majority))
        for follower in self._followers:
            self.env.process(self._follow(follower, count, majority))
        yield majority.reached
        self.blocks += 1
        self.ordered += count
        block = ModelBlock(transactions, self._bytes(count))
        for index, peer in enumerate(self.peers):
            self.env.process(self._deliver(self._sources[index % len(self._sources)], peer, block))

    def _append(self, orderer: ModelOrderer, count: int, block_share: float, majority: Quorum) -> Steps:
        block_s = block_share * self._costs.orderer_block * self._order_weight
        yield orderer.loop.work(self._order_s(count, FOLLOWER_SHARE) + block_s)
        yield orderer.disk.flush()
        if orderer is not self._leader:
            yield orderer.link.send(ANSWER_BYTES)
        majority.add()

    def _follow(self, orderer: ModelOrderer, count: int, majority: Quorum) -> Steps:
        yield self._leader.link.send(self._bytes(count) * self._tx_weight * self._order_weight)
        yield from self._append(orderer, count, FOLLOWER_SHARE, majority)

    def _deliver(self, source: ModelOrderer, peer: ModelPeer, block: ModelBlock) -> Steps:
        """Send a block to a peer, which stands for a share of the receivers. The fitted costs include the first few."""
        each = self._receivers / len(self.peers)
        beyond = max(0.0, 1 - self._costs.receivers / self._receivers)
        size = block.size * self._tx_weight
        one_s = self._costs.deliver_s + self._costs.deliver_byte_s * size
        yield source.loop.work(each * beyond * one_s * self._order_weight)
        yield source.link.send(each * size * self._order_weight)
        self._commits[peer.name].put(block)

    def _commit(self, peer: ModelPeer, blocks: list[ModelBlock]) -> Steps:
        """Verify, judge and write blocks, and notify the edge."""
        costs = self._costs
        self._report(peer)
        count = sum(len(block.transactions) for block in blocks) * self._tx_weight
        signatures = count * (1 + self.endorsers)
        parts = min(VERIFY_THREADS, max(1, int(signatures // LEAST_SHARE)))
        seconds = signatures * costs.verify / parts
        yield AllOf(self.env, [peer.verifiers.work(seconds) for _ in range(parts)])
        yield peer.committer(self.name).work(count * costs.commit + len(blocks) * costs.commit_block)
        yield peer.disk.flush()
        yield peer.edge.work(len(blocks) * costs.edge_block)
        for block in blocks:
            for transaction in block.transactions:
                if transaction.gateway is peer:
                    transaction.committed.succeed()

    def _report(self, peer: ModelPeer) -> None:
        waiting = len(self._commits[peer.name])
        if waiting >= BEHIND or peer.name in self._behind:
            self._pace.report(peer.name, waiting, self.env.now)
            (self._behind.add if waiting else self._behind.discard)(peer.name)
