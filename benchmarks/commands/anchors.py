"""What anchors cost beside the load of a run: ``python -m benchmarks.anchors --rate 200 --seconds 40``.

Starts a topology with its agents of anchors and measures processor time three times: with nothing to do, agents stopped
and running; under a load on the shards; and while heads of channels that do not exist are anchored on the anchoring
channel, all of them in one transaction, one transaction after the other. So known are the agents' own time, that of one
transaction of theirs, and what they ask of peers; all are divided by the transactions of the load. Exit code 1 where
the agents and their transactions take the bar or more of what a transaction of the load takes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.load.bench_network import BenchNetwork, running_bench_network
from benchmarks.load.plan import ControllerSpec, LoadSpec
from benchmarks.measure.engine_run import run_load
from benchmarks.measure.processes import GENERATOR, ProcessWatcher, usage_by_kind
from gridledger.client import Gateway, SigningIdentity
from gridledger.client.anchors import AnchorsLedger, ChannelMembers, application_of, round_of
from gridledger.command_line import EXIT_FAILED
from gridledger.protocol.merkle import Tree
from gridledger.protocol.statements import Head, Statement, statement_text

BAR: Final = 0.02
"""Of the core time of a transaction."""
AGENT: Final = "anchor agent"
_STARTUP_S: Final = 2.5
_SETTLE_S: Final = 12.0
_CHANNEL: Final = "benchmark"


class Cores(NamedTuple):
    """Processor time used so far, seconds: of agents, and of all others but the load's generator."""

    agents_s: float
    others_s: float

    @classmethod
    def now(cls) -> Cores:
        """As all processes below this one have it."""
        used = usage_by_kind()
        others = sum(usage.cpu_s for kind, usage in used.items() if kind not in (AGENT, *GENERATOR))
        return cls(used[AGENT].cpu_s, others)

    def since(self, before: Cores) -> Cores:
        """The difference."""
        return Cores(self.agents_s - before.agents_s, self.others_s - before.others_s)


async def used_in(seconds: float) -> Cores:
    """What is used in a time in which nothing is done."""
    before = Cores.now()
    await asyncio.sleep(seconds)
    return Cores.now().since(before)


def send_to_agents(number: signal.Signals) -> None:
    """A signal to every agent."""
    for pid, sample in ProcessWatcher().sample().items():
        if sample.kind == AGENT:
            os.kill(pid, number)


async def idle_cores(seconds: float) -> tuple[float, float]:
    """Cores that the others use while nothing is sent: with the agents stopped, and running."""
    send_to_agents(signal.SIGSTOP)
    await asyncio.sleep(1.0)
    stopped = await used_in(seconds)
    send_to_agents(signal.SIGCONT)
    await asyncio.sleep(_SETTLE_S)
    running = await used_in(seconds)
    return stopped.others_s / seconds, running.others_s / seconds


@asynccontextmanager
async def ledger_of(network: BenchNetwork, identity: SigningIdentity) -> AsyncIterator[AnchorsLedger]:
    """The contract of the anchors."""
    channel, chaincode = application_of(network.profile)
    async with Gateway.connect(network.profile.peer_of(channel).url, identity, roots=network.profile.roots) as gateway:
        place = gateway.get_network(channel)
        yield AnchorsLedger(place.get_contract(chaincode), place)


def agents_of(network: BenchNetwork) -> list[SigningIdentity]:
    """The identities of the network's agents, by MSP id."""
    homes = sorted(network.root.glob("companions/anchor-*/identities/*"))
    return sorted(map(SigningIdentity.load, homes), key=lambda identity: identity.mspid)


def cosigned(pair: Sequence[SigningIdentity], told: tuple[str, str], size: int, tree: Tree) -> dict[str, Any]:
    """A round that two agents have signed: the head of a channel at a size, ``told`` being both channels' names."""
    anchoring, channel = told
    head = Head(tree.root(size).hex(), "0" * 64, "0" * 64)
    text = statement_text(anchoring, channel, size, size - 1, head._asdict())
    said = [Statement(one.mspid, channel, size, size - 1, head, one.sign(text).hex()) for one in pair]
    return round_of(said, tree.consistency(size - 1, size))


async def transaction_cores(network: BenchNetwork, count: int, idle_cores: float) -> float:
    """Processor time of one transaction that anchors as many channels as the topology has shards, seconds, without what
    is used anyhow. The agents' own keys sign heads of channels that do not exist."""
    tree, agents = Tree(), agents_of(network)
    for number in range(1000):
        tree.append(sha256(b"%d" % number).digest())
    anchoring = application_of(network.profile)[0]
    pairs = {f"{_CHANNEL}{at // 2}": agents[at : at + 2] for at in range(0, len(agents) - 1, 2)}
    async with AsyncExitStack() as stack:
        ledgers = {one.mspid: await stack.enter_async_context(ledger_of(network, one)) for one in agents}
        ledger = ledgers[agents[0].mspid]
        for channel, pair in pairs.items():
            members = ChannelMembers(tuple(one.mspid for one in pair), "0" * 64)
            if (await ledger.status(channel)).members is None:
                for one in pair:
                    await ledgers[one.mspid].set_members(channel, members)
        first = (await ledger.status(next(iter(pairs)))).size
        began, before = time.monotonic(), Cores.now()
        for size in range(first + 1, first + 1 + count):
            rounds = [cosigned(pair, (anchoring, channel), size, tree) for channel, pair in pairs.items()]
            assert all(one["anchored"] for one in await ledger.cosign(rounds))  # noqa: S101 - a majority says so
        lasted_s, used = time.monotonic() - began, Cores.now().since(before)
    return (used.others_s - idle_cores * lasted_s) / count


async def measure(network: BenchNetwork, options: argparse.Namespace) -> float:
    """Measure and print; the share of agents and their transactions."""
    await asyncio.sleep(_SETTLE_S)
    stopped, idle = await idle_cores(options.idle)
    transaction_s = await transaction_cores(network, options.transactions, idle)
    channel, _ = application_of(network.profile)
    organisation = network.profile.peer_of(channel).organisation
    admin = SigningIdentity.load(network.profile.user(organisation, "admin"))
    spec = LoadSpec(
        workload="put" if options.workload == "put" else "ComputeVSI",
        controller=ControllerSpec(type="fixed-rate", opts={"tps": options.rate}),
        duration_s=options.seconds,
        warmup_s=options.warmup,
    )
    start_at = time.time() + _STARTUP_S
    load = asyncio.create_task(run_load(network, await network.streams(spec.workload), spec, start_at=start_at))
    async with ledger_of(network, admin) as ledger:
        await asyncio.sleep(start_at + spec.warmup_s - time.time())
        said, before = (await ledger.chain_info()).transactions, Cores.now()
        await asyncio.sleep(start_at + spec.warmup_s + options.seconds - time.time())
        used = Cores.now().since(before)
        said = (await ledger.chain_info()).transactions - said
        behind = [status.size for status in await ledger.statuses() if not status.channel.startswith(_CHANNEL)]
    outcome = (await load).outcome
    count = max(1, outcome.valid)
    asked_s = max(0.0, idle - stopped) * options.seconds
    core: float = (used.others_s - said * transaction_s - asked_s) / count
    share: float = (used.agents_s + said * transaction_s) / count / core
    whole = (used.agents_s + said * transaction_s + asked_s) / count / core
    us = 1e6 / count
    print(
        f"{count / options.seconds:.0f} tx/s in {options.seconds:g} s, {core * 1e6:.0f} us of core time a transaction"
    )
    print(f"anchored sizes {behind}, {said} transactions of agents, {transaction_s * 1e3:.1f} ms of core time each")
    print(f"{'agents':<32} {used.agents_s * us:7.1f} us/tx")
    print(f"{'their transactions':<32} {said * transaction_s * us:7.1f} us/tx")
    print(f"{'what they ask of peers, idle':<32} {asked_s * us:7.1f} us/tx")
    print(f"agents and their transactions: {100 * share:.2f} % of a transaction (bar {100 * BAR:g} %)", end="")
    print(f"; with what they ask: {100 * whole:.2f} %", flush=True)
    return share


async def run(options: argparse.Namespace) -> int:
    """Start the network, measure as often as asked."""
    folder = options.out.absolute() / "network"
    async with running_bench_network(
        options.topology, folder, port_offset=options.port_offset, companions=("anchors",)
    ) as network:
        print(f"{options.topology}, {options.workload}, offered {options.rate:g} tx/s")
        shares = [await measure(network, options) for _ in range(options.repeat)]
    return 0 if min(shares) < BAR else EXIT_FAILED


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.anchors", description=__doc__)
    parser.add_argument("--topology", default="three-shards", choices=("two-shards", "three-shards"))
    parser.add_argument("--workload", default="put", choices=("put", "vsi"))
    parser.add_argument("--rate", type=float, default=200.0, help="transactions per second on offer")
    parser.add_argument("--seconds", type=float, default=40.0, help="measured time of the load")
    parser.add_argument("--warmup", type=float, default=5.0, help="seconds of load before the measured time")
    parser.add_argument("--idle", type=float, default=20.0, help="seconds of each measurement without load")
    parser.add_argument("--transactions", type=int, default=100, help="transactions by which their cost is measured")
    parser.add_argument("--repeat", type=int, default=1, help="how often to measure")
    parser.add_argument("--port-offset", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path("out/anchors"))
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
