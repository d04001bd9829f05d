"""``make docker-test``: the network as containers, by a real engine. Ends with 0 when all went as it must.

Builds the images, brings the network up, runs the demonstration in it and beside it as processes and compares, then
kills and cuts off containers under load (the Raft leader too), and looks for every acknowledged transaction on every
peer. ``down`` and ``up`` keep the ledger, ``down -v`` forgets it; the other topologies come up too, and in the
substation four servers read a relay, and holders keep shares of a file (applications.py).
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.docker.applications import forensics, relay, vault
from tests.docker.engine import PROJECT, Compose, Failure, eventually, image_mb, run

NAME = "gridledger-docker-test"
CHANNEL = "mainchain"
LOGS = PROJECT / "out" / "docker-test.log"
PORT_OFFSET = 4100
CAUGHT_UP_WITHIN_S = 60.0
_BEGUN = time.monotonic()


def say(text: str) -> None:
    sys.stdout.write(f"[{time.monotonic() - _BEGUN:6.1f} s] {text}\n")
    sys.stdout.flush()


def main() -> int:
    """Everything, in order; the project's containers and volumes are gone at the end."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        say("there is no `docker compose` (v2) here")
        return 1
    compose = Compose(NAME)
    steps: list[Callable[[Compose], None]] = [build, bring_up, confined, demonstration]
    steps += [faults_under_load, down_and_up, forget]
    try:
        compose("--profile", "*", "down", "--volumes", "--remove-orphans")
        for step in steps:
            step(compose)
        for topology in ("no-shard", "two-shards"):
            other_topology(topology)
        for application in (relay, vault, forensics):
            application(NAME, say)
    except Failure as failure:
        say(f"FAILED: {failure}")
        LOGS.parent.mkdir(exist_ok=True)
        LOGS.write_text(compose("logs", "--no-color", check=False))
        say(f"what the containers wrote is in {LOGS}")
        return 1
    finally:
        compose("--profile", "*", "down", "--volumes", "--remove-orphans", check=False)
    say("the network as containers: all as it must be")
    return 0


def build(compose: Compose) -> None:
    """Both images."""
    begun = time.monotonic()
    compose("--profile", "feeder", "build")
    sizes = ", ".join(f"{name} {image_mb(f'gridledger/{name}'):.0f} MB" for name in ("services", "feeder"))
    say(f"built in {time.monotonic() - begun:.0f} s: {sizes}")


def bring_up(compose: Compose) -> None:
    """From nothing to all healthy."""
    say(f"up, all healthy after {compose.up():.1f} s")
    policy = ["--policy", "OutOf(3, all)"]
    compose("run", "--rm", "-T", "cli", "chaincode", "deploy", "/app/chaincode/kv", "--channel", CHANNEL, *policy)
    compose.level()


def confined(compose: Compose) -> None:
    """Nobody is root, writes outside its volume, has another's key or listens on a public address."""
    for service in ("ca", "orderer1", "peer1"):
        if compose.python(service, "import os; print(os.getuid())").strip() == "0":
            raise Failure(f"{service} runs as root")
        if "Read-only" not in compose.python(
            service, "try:\n open('/app/x', 'w')\nexcept OSError as error:\n print(error)"
        ):
            raise Failure(f"the root file system of {service} can be written")
        bindings = compose.inspect(service)["HostConfig"]["PortBindings"].values()
        hosts = {item["HostIp"] for ports in bindings for item in ports}
        if hosts != {"127.0.0.1"}:
            raise Failure(f"{service} is published on {hosts}")
    keys = compose.python("peer1", "from pathlib import Path; print(*Path('/network').rglob('key.pem'))").split()
    if keys != ["/network/nodes/peer1/msp/key.pem"]:
        raise Failure(f"peer1 sees the keys {keys}")
    say("containers are not root, cannot write their images, see their own key only, are published on 127.0.0.1")


def demonstration(compose: Compose) -> None:
    """The same demonstration in containers and as local processes says the same."""
    begun = time.monotonic()
    compose("run", "--rm", "-T", "feeder")
    there = json.loads(compose("run", "--rm", "-T", "--entrypoint", "cat", "feeder", "/results/summary.json"))
    say(f"the demonstration in containers: {time.monotonic() - begun:.0f} s, p50 {there['latency_ms']['p50']} ms")
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        place = ["--out", f"{folder}/demo", "--dir", f"{folder}/network", "--port-offset", str(PORT_OFFSET)]
        run([sys.executable, "-m", "services.feeder", "demo", *place])
        here = json.loads((Path(folder) / "demo" / "summary.json").read_text())
        say(f"the demonstration as processes: {time.monotonic() - begun:.0f} s, p50 {here['latency_ms']['p50']} ms")
    compare(here, there)
    for name, channel in there["channels"].items():
        if len({peer["commit_hash"] for peer in channel["peers"].values()}) != 1:
            raise Failure(f"after the demonstration the peers of {name} differ")
    count = sum(len(scenario["injections"]) for scenario in there["scenarios"])
    say(f"both say the same: {len(there['scenarios'])} scenarios, {count} injections, voltages; all peers agree")


def compare(here: dict[str, Any], there: dict[str, Any]) -> None:
    """:class:`Failure` where two summaries differ in what happened on the grid."""
    for one, other in zip(here["scenarios"], there["scenarios"], strict=True):
        where = f"scenario {one['name']} ({one['profile']})"
        for field in ("name", "profile", "steps", "weak_bus", "cured"):
            if one[field] != other[field]:
                raise Failure(f"{where}: {field} is {one[field]} as processes, {other[field]} in containers")
        if [item["bus"] for item in one["injections"]] != [item["bus"] for item in other["injections"]]:
            raise Failure(f"{where}: other injections")
        pairs = [(a["q_mvar"], b["q_mvar"]) for a, b in zip(one["injections"], other["injections"], strict=True)]
        pairs += [(one[field], other[field]) for field in ("v_before", "v_after", "vsi_before", "vsi_after")]
        # The power flow is solved by numpy, whose last digits may depend on the processor and its version.
        if not all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) for a, b in pairs):
            raise Failure(f"{where}: other numbers: {pairs}")


def faults_under_load(compose: Compose) -> None:
    """Kill and cut off, one after another; whoever comes back is level, and nothing acknowledged is missing."""
    source = (PROJECT / "tests/docker/load.py").read_text()
    script = ["--entrypoint", "python", "cli", "-c", source]
    load = compose.popen("run", "--rm", "-T", *script, "write", CHANNEL)
    begun: dict[str, float] = {}
    try:
        progress(compose)
        for fault in (kill_leader, kill_peer, crash_inside, cut_off_peer, cut_off_leader):
            begun[fault.__name__] = time.time()
            fault(compose)
            progress(compose)
        answer, _ = load.communicate("", timeout=60)
    finally:
        load.kill()
    outcome = json.loads(answer.splitlines()[-1])
    keys = outcome["acknowledged"]
    say(f"load: {len(keys)} acknowledged, refused {sum(outcome['failed'].values())} {outcome['failed']}")
    for name, since in begun.items():
        ends = min((other for other in begun.values() if other > since), default=time.time())
        longest = max((gap for at, gap in outcome["gaps"] if since - 1 <= at < ends), default=0.0)
        say(f"  {name}: {f'{longest:.1f} s' if longest else 'at most half a second'} without an acknowledgement")
    compose.level(CAUGHT_UP_WITHIN_S)
    reader = compose.popen("run", "--rm", "-T", *script, "read", CHANNEL)
    answer, _ = reader.communicate(json.dumps(keys), timeout=300)
    missing = json.loads(answer.splitlines()[-1])
    if len(missing) < 6 or any(missing.values()):
        raise Failure(f"acknowledged transactions are missing: {missing}")
    say(f"every one of them is on each of {len(missing)} peers, all commit hashes are equal")


def progress(compose: Compose) -> None:
    """Wait until the channel grows under the load."""
    height = _height(compose)
    eventually(f"{CHANNEL} grows under load", 30, lambda: _height(compose) > height)


def kill_leader(compose: Compose) -> None:
    leader = compose.leader(CHANNEL)
    begun = time.monotonic()
    compose.kill(leader)
    follower = compose.leader(CHANNEL, other_than=leader)
    elected = time.monotonic() - begun
    progress(compose)
    back = compose.start(leader)
    say(f"killed the leader {leader}: {follower} leads within {elected:.1f} s; back and healthy in {back:.1f} s")


def kill_peer(compose: Compose) -> None:
    compose.kill("peer4")
    progress(compose)
    back = compose.start("peer4")
    level = _caught_up(compose, "peer4")
    say(f"killed peer4: the others go on; back and healthy in {back:.1f} s, level {level:.1f} s later")


def crash_inside(compose: Compose) -> None:
    """A peer that dies by itself is started again by the engine."""
    code = "import os, signal; os.kill(int(open('/proc/1/task/1/children').read().split()[0]), signal.SIGKILL)"
    compose.python("peer2", code, check=False)
    begun = time.monotonic()
    eventually("peer2 is started again", 60, lambda: compose.inspect("peer2")["RestartCount"] == 1)
    compose.healthy("peer2")
    say(f"peer2 crashed: started again by the engine, healthy after {time.monotonic() - begun:.1f} s")
    _caught_up(compose, "peer2")


def cut_off_peer(compose: Compose) -> None:
    compose.cut_off("peer5")
    progress(compose)
    progress(compose)
    behind = _height(compose)
    compose.heal("peer5")
    say(f"cut off peer5, healed at height {behind}: level after {_caught_up(compose, 'peer5'):.1f} s by itself")


def cut_off_leader(compose: Compose) -> None:
    leader = compose.leader(CHANNEL)
    begun = time.monotonic()
    compose.cut_off(leader)
    follower = compose.leader(CHANNEL, other_than=leader)
    elected = time.monotonic() - begun
    progress(compose)
    compose.heal(leader)
    begun = time.monotonic()

    def follows() -> bool:
        state = compose.status()
        channel = state["channels"][CHANNEL]
        return leader not in state["down"] and channel["orderers"][leader] >= min(channel["orderers"].values())

    eventually(f"{leader} follows", CAUGHT_UP_WITHIN_S, follows)
    say(
        f"cut off the leader {leader}: {follower} leads within {elected:.1f} s; healed, it answers and follows after "
        f"{time.monotonic() - begun:.1f} s"
    )


def down_and_up(compose: Compose) -> None:
    before = compose.level()
    begun = time.monotonic()
    compose("down")
    down = time.monotonic() - begun
    again = compose.up()
    after = compose.level()
    if after["channels"].keys() != before["channels"].keys():
        raise Failure("other channels after down and up")
    for name, channel in before["channels"].items():
        if after["channels"][name]["peers"] != channel["peers"]:
            raise Failure(f"{name} is not what it was before down and up")
    say(f"down in {down:.1f} s, up again in {again:.1f} s: the same heights and commit hashes")


def forget(compose: Compose) -> None:
    compose("--profile", "*", "down", "--volumes")
    label = f"label=com.docker.compose.project={compose.name}"
    for kind in ("volume", "network"):
        if left := run(["docker", kind, "ls", "--quiet", "--filter", label]).split():
            raise Failure(f"down -v left {kind}s: {left}")
    say("down -v: nothing is left")


def other_topology(name: str) -> None:
    compose = Compose(f"{NAME}-{name}", f"compose.{name}.yaml")
    compose("--profile", "*", "down", "--volumes", "--remove-orphans")
    try:
        seconds = compose.up()
        channels = sorted(compose.level()["channels"])
        say(f"{name}: up after {seconds:.1f} s with channels {', '.join(channels)}")
    finally:
        compose("--profile", "*", "down", "--volumes", check=False)


def _height(compose: Compose) -> int:
    """How far the channel is on the furthest peer that answers; 0 where none does."""
    channel = compose.status().get("channels", {}).get(CHANNEL, {})
    return max((peer["height"] for peer in channel.get("peers", {}).values()), default=0)


def _caught_up(compose: Compose, peer: str) -> float:
    """Wait until a peer is as far as the others were when we began; seconds."""
    begun = time.monotonic()
    goal = _height(compose)

    def ask() -> bool:
        state = compose.status()
        return bool(state["channels"][CHANNEL]["peers"].get(peer, {}).get("height", 0) >= goal)

    eventually(f"{peer} reaches height {goal}", CAUGHT_UP_WITHIN_S, ask)
    return time.monotonic() - begun


if __name__ == "__main__":
    sys.exit(main())
