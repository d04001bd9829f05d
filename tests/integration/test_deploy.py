"""Chaincode that comes, changes and misbehaves while the network runs."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path

import pytest

from gridledger.client.errors import EndorseError
from gridledger.client.gateway import Contract
from gridledger.errors import GridLedgerError, NotFoundError
from gridledger.identity.signer import SigningIdentity
from gridledger.network.deploy import deploy_chaincode
from tests.support.command import gridledger
from tests.support.local_network import LocalNetwork
from tests.support.waiting import eventually
from tests.support.wild_chaincode import CONTRACT as WILD

pytestmark = pytest.mark.integration
CHANNEL = "shard2"
PEERS = ("peer3", "peer4")
GREETER = """
from gridledger.contract import Context, Contract, transaction


class Greeter(Contract):
    @transaction
    def greet(self, ctx: Context, name: str) -> str:
        ctx.stub.put_state("last", name)
        return f"{WORD}, {name}"
"""

UNLOADABLE = {
    "missing": ("import time\nimport nowhere\n", "contract.py, line 2: ModuleNotFoundError: No module named 'nowhere'"),
    "broken": ("x = (\n", "contract.py, line 1: SyntaxError: '(' was never closed"),
    "empty": ("x = 1\n", "contract.py holds no subclass of Contract"),
    "odd": (GREETER.replace("name: str", "name: bytes"), "Greeter.greet, parameter name: bytes is no JSON type"),
    "dead": ("import os\nos._exit(3)\n", "its process ended while it was loaded (exit code 3)"),
    "deaf": ("import signal\nsignal.signal(15, signal.SIG_IGN)\nwhile True: pass\n", "was not ready after 5.0 s"),
    "hungry": ("x = bytearray(10**9)\n", "contract.py, line 1: MemoryError"),
}
"""Chaincode that no peer can load: its source, and the reason that is given."""


def _folder(place: Path, name: str, source: str) -> Path:
    folder = place / name
    folder.mkdir()
    (folder / "contract.py").write_text(source)
    return folder


async def _command(network: LocalNetwork, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(gridledger, *arguments, "--dir", network.folder.root)


async def test_deploy_and_upgrade(network: LocalNetwork, tmp_path: Path) -> None:
    folder = _folder(tmp_path, "greeter", GREETER.replace("{WORD}", "Hello"))
    packed = await asyncio.to_thread(gridledger, "chaincode", "pack", folder, "--output", tmp_path / "greeter.tar.gz")
    assert (packed.returncode, packed.stderr) == (0, "")
    deploy = ("chaincode", "deploy", folder, "--channel", CHANNEL)
    done = await _command(network, *deploy)
    assert (done.returncode, done.stderr) == (0, "")
    package = packed.stdout.strip()[:12]
    assert done.stdout == f"greeter is on {CHANNEL}: sequence 1, policy MAJORITY(all), package {package}\n"
    async with network.gateway("peer3") as gateway, network.gateway("peer4") as other:
        greeter = gateway.get_network(CHANNEL).get_contract("greeter")
        # It serves as soon as the command returns, at every peer.
        assert await greeter.submit_transaction("greet", "Ada") == "Hello, Ada"
        assert await other.get_network(CHANNEL).get_contract("greeter").evaluate_transaction("greet", "B") == "Hello, B"

        old_proposal = await greeter.new_proposal("greet", "old")
        endorsed = await (await greeter.new_proposal("greet", "endorsed")).endorse()
        (folder / "contract.py").write_text(GREETER.replace("{WORD}", "Good morning"))
        definition = await deploy_chaincode(network.profile, folder, CHANNEL)
        assert (definition.sequence, definition.policy) == (2, "MAJORITY(all)")

        # What was proposed before is refused; what was endorsed before is on the chain, without effect.
        with pytest.raises(EndorseError) as caught:
            await old_proposal.endorse()
        assert (caught.value.status, caught.value.code) == (409, "CHAINCODE_SEQUENCE")
        assert caught.value.details["current"] == 2
        status = await endorsed.submit_and_wait()
        assert status.code.name == "EXPIRED_CHAINCODE"
        # The SDK notices by itself, and the state stays.
        assert await greeter.submit_transaction("greet", "Ada") == "Good morning, Ada"
        assert [item.value for item in await gateway.get_network(CHANNEL).get_history("greeter", "last")] == [
            "Ada",
            "Ada",
        ]
    done = await _command(network, *deploy, "--policy", "OutOf(2, all)", "--label", "3.0")
    assert (done.returncode, done.stderr) == (0, "")
    assert "sequence 3, policy OutOf(2, all)" in done.stdout
    await network.agree(CHANNEL)


async def test_what_cannot_be_deployed(network: LocalNetwork, tmp_path: Path) -> None:
    good = _folder(tmp_path, "good", GREETER.replace("{WORD}", "Hello"))
    before = await network.agree(CHANNEL)
    for folder, channel, policy, says in (
        (good, "nowhere", "OutOf(2, all)", "there is no channel 'nowhere'"),
        (good, CHANNEL, "OutOf(3, all)", "3 of 2 can never be met"),
        (good, CHANNEL, "OutOf(", ""),
        (good, CHANNEL, "OR('Org9MSP.peer', all)", "names Org9MSP, which is not on shard2; its organisations are"),
        (good, CHANNEL, "AND('Org3MSP.admin', all)", "met by the peers of shard2: 1 of Org3MSP, 1 of Org4MSP"),
        (tmp_path / "missing", CHANNEL, "OutOf(2, all)", "missing"),
    ):
        done = await _command(network, "chaincode", "deploy", folder, "--channel", channel, "--policy", policy)
        assert (done.returncode, done.stdout) == (1, ""), done
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith("error: ")
        assert says in done.stderr
    assert await network.agree(CHANNEL) == before
    with pytest.raises(NotFoundError):
        async with network.gateway("peer3") as gateway:
            await gateway.get_network(CHANNEL).get_contract("good").submit_transaction("greet", "x")


@pytest.mark.deep
async def test_a_package_that_does_not_load_is_refused(network: LocalNetwork, tmp_path: Path) -> None:
    """It is imported on each peer, in a host, first; peers and other chaincode go on, and nothing of it stays."""
    before = await network.agree(CHANNEL)
    hosts = [network.children(peer, "hosting.host") for peer in PEERS]
    packages = network.folder.node("peer3") / "data" / "packages"
    installed = sorted(packages.iterdir())
    async with network.gateway("peer3") as gateway:
        kv = gateway.get_network(CHANNEL).get_contract("kv")
        for name, (source, says) in UNLOADABLE.items():
            deploy = _command(network, "chaincode", "deploy", _folder(tmp_path, name, source), "--channel", CHANNEL)
            deploying = asyncio.create_task(deploy)
            while not deploying.done():
                assert await kv.evaluate_transaction("get", "deploy-refused") is None
            done = await deploying
            assert (done.returncode, done.stdout) == (1, ""), done
            *warnings, error = done.stderr.splitlines()
            assert error.startswith(f"error: {name} cannot be loaded by peer3, peer4: "), done
            assert says in error
            assert str(tmp_path) not in error
            assert len(warnings) == sum(source.count(f"import {module}") for module in ("time", "os", "signal"))
    assert sorted(packages.iterdir()) == installed
    assert [network.children(peer, "hosting.host") for peer in PEERS] == hosts
    assert await network.agree(CHANNEL) == before


async def test_doubtful_places_are_shown_and_deployed(network: LocalNetwork, tmp_path: Path) -> None:
    source = GREETER.replace("{WORD}", "Hello").replace("class", "import math\nx = math.sin(1)\n\nclass")
    folder = _folder(tmp_path, "doubtful", source)
    done = await _command(network, "chaincode", "deploy", folder, "--channel", CHANNEL)
    assert done.returncode == 0
    (warning,) = done.stderr.splitlines()
    assert warning.startswith("warning: contract.py:6: math.sin: its last digit differs from one C library")


async def test_users_are_enrolled_by_the_command(network: LocalNetwork) -> None:
    enrolled = await _command(network, "enroll", "Org1", "alice", "--attribute", "grid.role=aggregator")
    alice = SigningIdentity.load(enrolled.stdout.strip())
    found = (alice.name, alice.mspid, alice.certificate.attributes["grid.role"])
    assert found == ("alice", "Org1MSP", "aggregator")
    refused = await _command(network, "enroll", "Org9", "alice")
    assert (refused.returncode, refused.stdout, len(refused.stderr.splitlines())) == (1, "", 1)
    assert refused.stderr.startswith("error: there is no organisation 'Org9'")


async def test_wild_chaincode_costs_only_its_own_transaction(network: LocalNetwork, tmp_path: Path) -> None:
    """It hangs, dies, crashes, eats memory; meanwhile another chaincode on the same peers goes on undisturbed."""
    folder = _folder(tmp_path, "wild", WILD)
    await deploy_chaincode(network.profile, folder, CHANNEL, policy="OutOf(2, all)")
    async with network.gateway("peer3") as gateway:
        channel = gateway.get_network(CHANNEL)
        wild, kv = channel.get_contract("wild"), channel.get_contract("kv")
        await kv.submit_transaction("put", "calm", 0)
        for function, codes in (
            ("die", {"CHAINCODE_CRASHED"}),
            ("crash", {"CHAINCODE_CRASHED"}),
            ("eat", {"CHAINCODE_CRASHED", "CHAINCODE_REFUSED"}),
            ("hang", {"CHAINCODE_TIMEOUT"}),
            ("stubborn", {"CHAINCODE_TIMEOUT"}),
        ):
            height, _ = await network.agree(CHANNEL)
            failing = asyncio.create_task(_refused(wild, function))
            latencies: list[float] = []
            while not failing.done() or not latencies:
                began = time.monotonic()
                await kv.submit_transaction("put", "calm", function)
                latencies.append(time.monotonic() - began)
            error = await failing
            said = {reason.split(":")[0] for reason in error.details.get("peers", {}).values()} or {error.code}
            assert said <= codes, (function, error, error.details)
            # A call may take 2 s here: nothing waited for the end of the one that hangs.
            assert max(latencies) < 2, (function, max(latencies))
            # Nothing of it was ordered: all blocks since are the calm chaincode's.
            after, _ = await network.agree(CHANNEL)
            assert after - height <= len(latencies)
            # Its next transaction works: a fresh host has taken over on every peer.
            await eventually(lambda: _works(wild), within_s=10, what="wild works again", ignore=(GridLedgerError,))
        for name in PEERS:
            async with network.node(name) as node:
                assert (await node.get_json("/healthz"))["status"] == "ok"
    await network.agree(CHANNEL)


async def test_chaincode_that_differs_between_peers(network: LocalNetwork, tmp_path: Path) -> None:
    """A payload that depends on the process: the client is told what differs, per peer."""
    folder = _folder(tmp_path, "moody", WILD)
    await deploy_chaincode(network.profile, folder, CHANNEL, policy="OutOf(2, all)")
    async with network.gateway("peer3") as gateway:
        error = await _refused(gateway.get_network(CHANNEL).get_contract("moody"), "pid")
    assert (error.status, error.code) == (409, "ENDORSEMENT_MISMATCH")
    assert set(error.details["peers"]) == set(PEERS)


async def _refused(contract: Contract, function: str) -> EndorseError:
    with pytest.raises(EndorseError) as caught:
        await contract.submit_transaction(function)
    return caught.value


async def _works(contract: Contract) -> bool:
    return len(await contract.submit_transaction("big", 10)) == 10
