"""The network of the model, built from a deployment, and the way of a client's transaction through it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from random import Random

from simpy import AllOf, Environment

from benchmarks.model.channel import ANSWER_BYTES, ModelChannel, ModelTransaction
from benchmarks.model.costs import REMOTE_SHARE, Costs
from benchmarks.model.deployment import MAIN, ORDERERS, Deployment
from benchmarks.model.nodes import ModelOrderer, ModelPeer, Placement
from benchmarks.model.stations import Process, Steps
from services.orderer.settings import RaftTiming

TICK_S = RaftTiming().tick_s
"""Raft's tick, at which orderers send heartbeats."""

START_S = 0.1
"""Clients begin at random moments within this time."""

CLIENT_STEPS = (0.4, 0.4, 0.2)
"""Parts of a client's work: propose and sign; read the result, sign and submit; read the verdict."""

GATEWAY_STEPS = (0.3, 0.35, 0.2)
"""Parts of a gateway's work: endorse; submit; answer. The rest is its peer's own endorsement (docs/peer.md)."""
OWN_ENDORSEMENT = 1 - sum(GATEWAY_STEPS)
REMOTE_STEPS = (0.6, 0.4)
"""Parts of another peer's endorsement: on that peer, and on the gateway."""


@dataclass(slots=True)
class ServedTransaction:
    """A transaction that was served: its channel, its begin, and the time when its verdict was read."""

    channel: str
    begun_at: float
    ended_at: float


class ModelNetwork:
    """All nodes and channels. Each simulated shard stands for ``weight`` shards (docs/scale.md). With ``main_alone``
    clients use only the main chain; then each of its transactions stands for itself, and its peers share the work with
    those that are not simulated."""

    def __init__(
        self,
        env: Environment,
        deployment: Deployment,
        costs: Costs,
        *,
        random: Random,
        weight: float = 1.0,
        main_alone: bool = False,
    ) -> None:
        self.env = env
        self.deployment = deployment
        self.costs = costs
        self.weight = weight
        self.main_alone = main_alone
        self.served: list[ServedTransaction] = []
        self._random = random
        self.placement = Placement(
            env,
            together=deployment.together,
            cores=deployment.cores,
            link_bytes_s=deployment.link_bytes_s,
            latency_s=deployment.latency_s,
        )
        self.orderers: list[ModelOrderer] = []
        self.peers: list[ModelPeer] = []
        self.shards = self._shards()
        self.main = self._main_chain()
        # Load from outside has enough cores; on one machine it takes its share of them.
        outside = self.placement.cores(4.0 * len(self.shards))
        generators = deployment.generators if deployment.together else 4 * len(self.shards)
        self._generators = [outside.process() for _ in range(generators)]
        self._client_link = self.placement.link(unbounded=True)

    def _shards(self) -> list[ModelChannel]:
        deployment = self.deployment
        # The only set also orders the shards that are not simulated; one of many sets orders its own shards only.
        weight = self.weight if deployment.orderer_sets == 1 else 1.0
        sets = [self._orderers(f"set{number}") for number in range(min(deployment.orderer_sets, deployment.shards))]
        for number, orderers in enumerate(sets):
            self._tick(orderers, weight * len(range(number, deployment.shards, len(sets))))
        return [
            ModelChannel(
                self.env,
                f"shard{number}",
                self.costs,
                peers=[self._peer(f"shard{number}.peer{index}") for index in range(deployment.peers)],
                orderers=sets[number % len(sets)],
                leader=number // len(sets),
                endorsers=deployment.endorsers,
                receivers=deployment.peers,
                pacing=deployment.pacing,
                order_weight=weight,
            )
            for number in range(deployment.shards)
        ]

    def _main_chain(self) -> ModelChannel | None:
        main = self.deployment.main
        if main is None:
            return None
        orderers = self.orderers[:ORDERERS] if self.deployment.orderer_sets == 1 else self._orderers("main")
        self._tick(orderers, 1)
        tx_weight = 1.0 if self.main_alone else self.weight
        if main.members is None:
            peers = [peer for shard in self.shards for peer in shard.peers]
            receivers = len(peers) * self.weight
            for peer in peers:
                peer.weight = tx_weight / self.weight
        else:
            peers = [self._peer(f"main.peer{index}", tx_weight) for index in range(main.members)]
            receivers = float(main.members)
        return ModelChannel(
            self.env,
            MAIN,
            self.costs,
            peers=peers,
            orderers=orderers,
            leader=0,
            endorsers=min(main.endorsers, len(peers)),
            receivers=receivers,
            pacing=self.deployment.pacing,
            tx_weight=tx_weight,
        )

    def _peer(self, name: str, weight: float = 1.0) -> ModelPeer:
        placement = self.placement
        peer = ModelPeer(name, placement.cores(), placement.link(), placement.disk(self.costs.flush_s), weight).start(
            self.costs
        )
        self.peers.append(peer)
        return peer

    def _orderers(self, name: str) -> list[ModelOrderer]:
        placement = self.placement
        orderers = [
            ModelOrderer(
                f"{name}.orderer{index}", placement.cores(), placement.link(), placement.disk(self.costs.append_s)
            ).start()
            for index in range(ORDERERS)
        ]
        self.orderers += orderers
        return orderers

    def _tick(self, orderers: list[ModelOrderer], channels: float) -> None:
        for orderer in orderers:
            self.env.process(self._ticking(orderer, channels * self.costs.idle_cores * TICK_S))

    def _ticking(self, orderer: ModelOrderer, seconds: float) -> Steps:
        while True:
            yield self.env.timeout(TICK_S)
            yield orderer.loop.work(seconds)

    def closed_loop(self, clients: float) -> None:
        """``clients`` for each shard on average, each of whom begins its next transaction when one is done."""
        for number, shard in enumerate(self.shards):
            for index in range(round(clients * len(self.shards) * self._load_share(number))):
                self.env.process(self._client(shard, self._generators[(number + index) % len(self._generators)]))

    def open_loop(self, rate: float) -> None:
        """Transactions at a fixed rate over all shards, at equal intervals."""
        for number, shard in enumerate(self.shards):
            self.env.process(self._arrivals(shard, 1 / (rate * self._load_share(number))))

    def _load_share(self, number: int) -> float:
        shares = self.deployment.load_shares
        return shares[number] / sum(shares) if shares else 1 / len(self.shards)

    def _client(self, shard: ModelChannel, generator: Process) -> Steps:
        yield self.env.timeout(self._random.random() * START_S)
        while True:
            yield from self._transaction(self._channel_of_next(shard), generator)

    def _arrivals(self, shard: ModelChannel, interval_s: float) -> Steps:
        yield self.env.timeout(self._random.random() * interval_s)
        for number in count():
            generator = self._generators[number % len(self._generators)]
            self.env.process(self._transaction(self._channel_of_next(shard), generator))
            yield self.env.timeout(interval_s)

    def _channel_of_next(self, shard: ModelChannel) -> ModelChannel:
        main = self.deployment.main
        if self.main is None or main is None:
            return shard
        return self.main if self.main_alone or self._random.random() < main.share else shard

    def _transaction(self, channel: ModelChannel, generator: Process) -> Steps:
        """The way of one transaction, as docs/peer.md and docs/orderer.md describe it."""
        env, costs, size = self.env, self.costs, self.costs.size(channel.endorsers)
        begun_at, gateway = env.now, channel.next_gateway()
        propose, submit, read = (share * costs.client for share in CLIENT_STEPS)
        endorse, order, answer = (share * costs.edge for share in GATEWAY_STEPS)
        yield generator.work(propose)
        yield self._client_link.send(size / 2)
        yield gateway.serve(endorse)
        asked = [env.process(self._endorse_here(gateway))]
        asked += [env.process(self._endorse_there(gateway, peer, size)) for peer in channel.endorsing(gateway)]
        yield AllOf(env, asked)
        yield gateway.link.send(gateway.weight * size / 2)
        yield generator.work(submit)
        yield self._client_link.send(size)
        yield gateway.serve(order)
        transaction = ModelTransaction(gateway, env.event())
        channel.submit(transaction)
        yield transaction.committed
        yield gateway.serve(answer)
        yield gateway.link.send(ANSWER_BYTES)
        yield generator.work(read)
        self.served.append(ServedTransaction(channel.name, begun_at, env.now))

    def _endorse_here(self, gateway: ModelPeer) -> Steps:
        yield gateway.serve(OWN_ENDORSEMENT * self.costs.edge)
        yield gateway.run_chaincode(self.costs.host)

    def _endorse_there(self, gateway: ModelPeer, peer: ModelPeer, size: float) -> Steps:
        there, here = (share * REMOTE_SHARE * self.costs.edge for share in REMOTE_STEPS)
        yield gateway.link.send(gateway.weight * size / 2)
        yield peer.serve(there)
        yield peer.run_chaincode(self.costs.host)
        yield peer.link.send(peer.weight * size / 2)
        yield gateway.serve(here)
