"""The commands that talk to a network, as processes on a running one: what they print, and their exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gridledger.client import SigningIdentity
from gridledger.client.ca import BlockingCAClient
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import CHANNEL, few_nodes
from tests.support.processes import REPOSITORY

pytestmark = pytest.mark.integration

METER = '''
"""A meter that counts."""

from gridledger.contract import Context, Contract, ContractError, transaction


class Meter(Contract):
    @transaction
    def record(self, ctx: Context, meter: str, kwh: float) -> float:
        """Add to a meter."""
        if kwh < -100:
            raise ContractError("kwh must be -100 or more")
        total = (ctx.stub.get_state(meter) or 0) + kwh
        ctx.stub.put_state(meter, total)
        ctx.stub.set_event("Recorded", {"meter": meter, "kwh": kwh})
        return total
'''


HEEDING_CTRL_C = ("env", "--default-signal=INT")
"""A shell lets what it starts in the background ignore Ctrl-C: the tests, maybe, and all that they start."""


class Command:
    """The command on one network."""

    def __init__(self, network: LocalNetwork) -> None:
        self.network = network

    def __call__(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "gridledger.cli", *map(str, arguments), f"--dir={self.network.folder.root}"]
        return subprocess.run(
            words, cwd=REPOSITORY, capture_output=True, text=True, input=stdin, timeout=90, check=False
        )

    def json(self, *arguments: str | Path, code: int = 0) -> Any:
        """What it prints with ``--json``."""
        done = self(*arguments, "--json")
        assert done.returncode == code, done.stderr
        assert done.stdout.count("\n") == 1
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Two peers with kv, and a meter that was deployed."""
    place = tmp_path_factory.mktemp("command")
    (place / "meter").mkdir()
    (place / "meter" / "contract.py").write_text(METER)
    with local_network(few_nodes(peers=2), place / "network") as network:
        command = Command(network)
        done = command("chaincode", "deploy", place / "meter", "--channel", CHANNEL)
        assert done.returncode == 0, done.stderr
        yield command


def test_a_transaction_from_shell_to_history(run: Command) -> None:
    assert run("enroll", "Org1", "alice").returncode == 0
    invoked = run("invoke", CHANNEL, "meter", "record", "7", "2.5", "--user", "Org1/alice")
    assert (invoked.returncode, invoked.stdout) == (0, "2.5\n")
    _, tx_id, *_, block = invoked.stderr.split()
    told = run.json("invoke", CHANNEL, "meter", "record", "7", "-5")
    assert (told["payload"], told["code_name"]) == (-2.5, "VALID")

    history = run.json("history", CHANNEL, "meter", "7")["items"]
    assert [(item["value"], item["tx_id"]) for item in history] == [(-2.5, told["tx_id"]), (2.5, tx_id)]
    assert tx_id in run("history", CHANNEL, "meter", "7").stdout

    shown = run("tx", CHANNEL, tx_id, "--proof")
    assert 'call          record("7", 2.5)' in shown.stdout
    assert "creator       alice" in shown.stdout
    assert "proof         holds" in shown.stdout
    assert "signed by     orderer1 of OrdererMSP (genuine)" in shown.stdout
    assert "proof" not in run.json("tx", CHANNEL, tx_id)
    assert run.json("tx", CHANNEL, tx_id, "--proof")["proof"]["count"] >= 1

    assert 'VALID  meter      record("7", 2.5)' in run("block", CHANNEL, block).stdout
    opened = run.json("block", CHANNEL, block)
    assert [item["tx_id"] for item in opened["transactions"]] == [tx_id]
    assert run.json("block", CHANNEL, opened["hash"]) == opened
    assert run.json("tx", CHANNEL, tx_id[:10])["tx_id"] == tx_id

    by_alice = run.json("search", CHANNEL, "--creator", "alice", "--chaincode", "meter", "--function", "record")
    (found,) = by_alice["items"]
    assert (found["tx_id"], found["mspid"], found["code_name"]) == (tx_id, "Org1MSP", "VALID")
    assert (found["block"], by_alice["more"]) == (int(block), False)
    newest = run.json("search", CHANNEL, "--chaincode", "meter", "--code", "VALID", "--limit", "1")
    assert ([item["tx_id"] for item in newest["items"]], newest["more"]) == ([told["tx_id"]], True)
    assert run.json("search", CHANNEL, "--id", tx_id[:10])["items"] == [found]
    assert "alice of Org1MSP" in run("search", CHANNEL, "--code", "valid", "--to", "2100-01-01").stdout
    assert run.json("search", CHANNEL, "--code", "invalid", "--from", "2100-01-01T00:00Z") == {
        "items": [],
        "more": False,
    }


def test_enrolling_again_refuses_what_has_changed(run: Command) -> None:
    enroll = ("enroll", "Org1", "meter9", "--attribute", "grid.group=1")
    first = run(*enroll)
    assert (first.returncode, first.stderr) == (0, "")
    assert run(*enroll).stdout == first.stdout
    for arguments, says in (
        ((*enroll, "--role", "admin"), "is enrolled as client, not admin"),
        (enroll[:3], "is enrolled with the attributes grid.group=1, not no attributes"),
        (("enroll", "Org1", "peer1"), "is enrolled as peer, not client"),
        (("enroll", "Org1", "peer1", "--role", "peer"), "its identity is not in"),
        (("enroll", "Org1", "../meter9"), "cannot name an identity"),
        (("enroll", "Org9", "meter9"), "there is no organisation 'Org9'"),
    ):
        refused = run(*arguments)
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
        assert says in refused.stderr


def test_enrolling_again_refuses_the_revoked(run: Command) -> None:
    profile = run.network.profile
    client = BlockingCAClient(profile.ca.url, "Org1", profile.ca.tls_root)
    registrar = SigningIdentity.load(profile.user("Org1", "registrar"))
    for name in ("certificate-gone", "identity-gone"):
        assert run("enroll", "Org1", name).returncode == 0
        identity = SigningIdentity.load(profile.user("Org1", name))
        if name == "identity-gone":
            client.revoke(registrar, name)
        else:
            client.revoke(registrar, serial=identity.certificate.serial)
        refused = run("enroll", "Org1", name)
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
        assert "revoked: choose another name" in refused.stderr


def test_arguments_are_what_the_function_declares(run: Command, tmp_path: Path) -> None:
    (tmp_path / "limits.json").write_text('{"low": -5}')
    values = {"{}": {}, "-5": -5, "m1": "m1", f"@{tmp_path / 'limits.json'}": {"low": -5}, '"5"': "5"}
    for word, value in values.items():
        assert run("invoke", CHANNEL, "kv", "put", "5", word).returncode == 0
        assert run.json("query", CHANNEL, "kv", "get", "5") == {"payload": value}
    assert run("invoke", CHANNEL, "kv", "put", "5", "-", stdin="[1]").returncode == 0
    assert run("query", CHANNEL, "kv", "get", "5").stdout == "[1]\n"
    quoted = run("query", CHANNEL, "kv", "get", '"5"')
    assert quoted.stdout == "null\n"
    assert "its quotes are part of it" in quoted.stderr
    ate = run("invoke", CHANNEL, "kv", "put", "5", "{a:1}")
    assert (ate.returncode, ate.stderr.count("\n")) == (1, 1)
    assert "The shell takes double quotes away" in ate.stderr


@pytest.mark.parametrize("command", ["invoke", "query"])
def test_a_refusal_is_told_apart_from_other_errors(run: Command, command: str) -> None:
    refused = run(command, CHANNEL, "meter", "record", "7", "-1e3")
    assert (refused.returncode, refused.stdout) == (3, "")
    assert refused.stderr == "error: kwh must be -100 or more\n"
    wrong = run(command, CHANNEL, "meter", "record", "7", "x")
    assert (wrong.returncode, wrong.stderr) == (3, 'error: kwh: must be a number (float), not "x"\n')
    for arguments in ((CHANNEL, "nothing"), ("nowhere", "meter"), (CHANNEL, "meter", "--user=Org9/x")):
        other = run(command, *arguments[:2], "record", "7", "1", *arguments[2:])
        assert (other.returncode, other.stdout, other.stderr.count("\n")) == (1, "", 1)
        assert other.stderr.startswith("error: ")


def test_an_invalid_transaction_is_told_with_its_code(run: Command) -> None:
    """Six at once add to one key: at least one of them loses to another, and is told so."""
    words = [sys.executable, "-m", "gridledger.cli", "invoke", CHANNEL, "kv", "add", "counter", "1"]
    words.append(f"--dir={run.network.folder.root}")
    running = [
        subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    outcomes = [(*process.communicate(timeout=90), process.returncode) for process in running]
    committed = [out for out, _, code in outcomes if code == 0]
    assert int(run("query", CHANNEL, "kv", "get", "counter").stdout) == len(committed)
    for _, told, code in outcomes:
        assert code in (0, 4)
        assert code == 0 or "has no effect: invalid: MVCC_READ_CONFLICT in block " in told


def test_events_are_shown_and_followed(run: Command) -> None:
    def put(value: int) -> None:
        assert run("invoke", CHANNEL, "kv", "announce", "k", str(value)).returncode == 0

    put(1)
    past = run("events", CHANNEL, "--chaincode", "kv", "--name", "Put", "--json")
    assert [json.loads(line)["payload"] for line in past.stdout.splitlines()] == [{"key": "k", "value": 1}]
    assert run("events", CHANNEL, "--chaincode", "kv", "--name", "Other").stdout == ""
    misspelt = run("events", CHANNEL, "--chaincode", "kvv")
    assert (misspelt.returncode, misspelt.stdout) == (0, "")
    assert misspelt.stderr == f"note: {CHANNEL} has no chaincode 'kvv' now; it has: kv, meter\n"
    height = run.json("channel", "info", CHANNEL)["height"]
    blocks = [json.loads(line) for line in run("events", CHANNEL, "--json").stdout.splitlines()]
    assert [block["number"] for block in blocks] == list(range(height))
    assert run("events", CHANNEL, "--from", str(height)).stdout == ""

    words = ["events", CHANNEL, "--follow", "--chaincode=kv", f"--from={height - 1}", "--json"]
    words.append(f"--dir={run.network.folder.root}")
    with subprocess.Popen(
        [*HEEDING_CTRL_C, sys.executable, "-m", "gridledger.cli", *words],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout is not None
        try:
            assert json.loads(following.stdout.readline())["payload"]["value"] == 1
            put(2)
            assert json.loads(following.stdout.readline())["payload"]["value"] == 2
        finally:
            following.send_signal(signal.SIGINT)
        assert following.wait(30) == 130


def test_channels_and_chaincodes_are_listed(run: Command) -> None:
    listed = run.json("channel", "list")["channels"]
    assert [(item["name"], item["peers"]) for item in listed] == [(CHANNEL, ["peer1", "peer2"])]
    info = run.json("channel", "info", CHANNEL)
    assert info["height"] >= listed[0]["height"] > 0
    assert {"kv", "meter"} == set(info["config"]["chaincodes"])
    for words in (("channel", "list"), ("channel", "info", CHANNEL), ("chaincode", "list", CHANNEL)):
        done = run(*words)
        assert (done.returncode, done.stderr) == (0, "")
        assert CHANNEL in done.stdout or "MAJORITY(all)" in done.stdout
    assert run.json("chaincode", "list", CHANNEL)["chaincodes"]["meter"]["sequence"] == 1
    meter = run("chaincode", "info", CHANNEL, "meter").stdout
    assert "record    meter: string, kwh: number  number   submitted  Add to a meter." in meter
    assert "contracts" in run.json("chaincode", "info", CHANNEL, "meter")["metadata"]
    unknown = run("chaincode", "info", CHANNEL, "nothing")
    assert (unknown.returncode, unknown.stderr.count("\n")) == (1, 1)


def test_ledgers_are_compared_and_verified(run: Command) -> None:
    told = run.json("compare", CHANNEL, "peer1", "peer2")
    assert (told["equal"], told["first_difference"]) == (True, None)
    assert "peer1 and peer2 agree" in run("compare", CHANNEL, "peer1", "peer2").stdout
    unknown = run("compare", CHANNEL, "peer1", "peer9")
    assert (unknown.returncode, unknown.stderr) == (1, f"error: {CHANNEL} has no peer 'peer9'; it has: peer1, peer2\n")

    ledger = run.network.folder.node("peer1") / "data" / "ledger" / CHANNEL
    words = [sys.executable, "-m", "gridledger.cli", "verify", str(ledger), "--json"]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"] is True
