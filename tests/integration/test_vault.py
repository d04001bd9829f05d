"""The vault by its commands, on a real network with nine holders in three processes and a base: an object's life."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gridledger.client import load_profile
from gridledger.sharing.errors import SharingError
from services.vault.__main__ import main
from services.vault.cutting import join_object
from services.vault.described import dealer_identity
from services.vault.records import Manifest
from services.vault.session import open_session
from tests.support.processes import REPOSITORY, free_ports
from tests.support.vault_dealer import deal_falsely, give_other_shares
from tests.support.vault_network import VaultNetwork, vault_description, vault_network
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

DATA = b"2026-11-30T10:00:00Z displacement 41.07 mm\n" * 4000
BASE = {"look_over_s": 2.0, "audit_every_s": 0.0, "repair_again_s": 1.0}
PROCESS = {
    **{f"m3-{kind}-{number}": "m3a" for kind in ("displacement", "vibration") for number in (1, 2)},
    "m3-current-1": "m3b",
    **dict.fromkeys(("m3-head", "m3-current-2", "m3-capacitance-1", "m3-capacitance-2"), "m3c"),
}


class Commands:
    """``gridledger vault`` on the network, in this process."""

    def __init__(self, vault: VaultNetwork, capsys: pytest.CaptureFixture[str]) -> None:
        self.vault = vault
        self._capsys = capsys

    def said(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Standard output and error of a command."""
        self._capsys.readouterr()
        ended = main([*arguments, "--dir", str(self.vault.network.folder.root)])
        out, err = self._capsys.readouterr()
        assert ended == code, f"{arguments}: exit code {ended}\n{out}\n{err}"
        return out, err

    def json(self, *arguments: str, code: int = 0) -> Any:
        """What a command prints for programs."""
        return json.loads(self.said(*arguments, "--json", code=code)[0])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultNetwork]:
    folder = tmp_path_factory.mktemp("vault") / "network"
    with vault_network(vault_description(["M3"], base=BASE), folder) as network:
        yield network


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture
def vault(running: VaultNetwork, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(running, capsys)


def put(vault: Commands, files: Path, name: str, data: bytes = DATA) -> Any:
    (files / name).write_bytes(data)
    return vault.json("put", str(files / name), "--cluster", "M3", "--audits", "8")


def get(vault: Commands, files: Path, name: str, *more: str) -> tuple[bytes, Any]:
    out = files / f"{name}.read"
    told = vault.json("get", name, "-o", str(out), "--purpose", "test", *more)
    return out.read_bytes(), told


def wait(check: Callable[[], bool], what: str, within_s: float = 40) -> None:
    async def checked() -> bool:
        return await asyncio.to_thread(check)

    asyncio.run(eventually(checked, within_s=within_s, what=what))


def test_the_vault_is_set_up_once(vault: Commands) -> None:
    done = vault.json("set-up")
    assert (done["clusters"], len(done["admitted"]), done["cycle"], done["begun"]) == ({"M3": "set"}, 9, 1, True)
    again = vault.json("set-up")
    assert (again["clusters"], again["admitted"], again["begun"]) == ({"M3": "unchanged"}, [], False)
    listed = vault.json("holders")["items"]
    assert [each["state"] for each in listed] == ["active"] * 9


def test_what_is_put_is_read(vault: Commands, files: Path) -> None:
    told = put(vault, files, "oil")
    assert (told["version"], told["needed"], told["n"], told["failed"]) == (1, 7, 9, {})
    data, read = get(vault, files, "oil", "--all")
    assert (data, read["others"], len(read["answered"])) == (DATA, {}, 9)
    assert [item["object"] for item in vault.json("ls")["items"]] == ["oil"]
    shown = vault.json("show", "oil")
    assert (shown["status"], len(shown["acks"]), shown["owner"]["mspid"]) == ("stored", 9, "BreakerMSP")
    assert "9 of 9" in vault.said("health", "oil")[0]
    assert vault.json("reads", "oil")["items"][-1]["purpose"] == "test"
    assert "oil exists" in vault.said("put", str(files / "oil"), "--cluster", "M3", code=1)[1]


def test_audits_are_passed_by_all(vault: Commands) -> None:
    told = vault.json("audit", "oil")
    assert [each["outcome"] for each in told["audits"]] == ["passed"] * 9
    assert all(each["audits"]["left"] == 7 for each in vault.json("health", "oil")["objects"][0]["holders"])


def test_a_flipped_byte_is_found_named_reported_and_repaired(vault: Commands, files: Path) -> None:
    holder = "m3-vibration-1"
    file = vault.vault.share_file(PROCESS[holder], holder, "oil")
    right = file.read_bytes()
    file.write_bytes(right[:500] + bytes([right[500] ^ 1]) + right[501:])
    data, read = get(vault, files, "oil", "--all")
    assert (data, read["reported"]) == (DATA, [holder])
    wait(lambda: file.read_bytes() == right, "the base repairs the share")

    def mended() -> bool:
        found = {each["holder"]: each for each in vault.json("health", "oil")["objects"][0]["holders"]}
        return bool(found[holder]["repairs"] == 1 and found[holder]["live"])

    wait(mended, "the ledger has the repair")
    assert "repair" in [item["purpose"] for item in vault.json("reads", "oil")["items"]]
    assert get(vault, files, "oil", "--all")[1]["reported"] == []


def test_n_minus_t_holders_may_die_and_one_more_is_told(vault: Commands, files: Path) -> None:
    network = vault.vault.network
    asyncio.run(network.kill("m3c"))
    try:
        data, read = get(vault, files, "oil")
        assert (data, len(read["answered"])) == (DATA, 5)
        asyncio.run(network.kill("m3b"))
        error = vault.said("get", "oil", "-o", str(files / "none"), "--purpose", "test", code=1)[1]
        assert error.startswith("error: oil needs 5 of 9, 4 answered: m3-displacement-1, m3-displacement-2, ")
        assert all(f"; {name}: " in error for name, process in PROCESS.items() if process != "m3a")
        error = vault.said("put", str(files / "oil"), "--cluster", "M3", "--name", "gas", "--wait-s", "1", code=1)[1]
        assert "7 of 9 holders must acknowledge, 4 did" in error
    finally:
        for name in ("m3b", "m3c"):
            asyncio.run(network.start(name))
    assert get(vault, files, "oil", "--all")[1]["others"] == {}


def test_a_dishonest_dealer_is_found(vault: Commands, files: Path) -> None:
    """One written out here, which calls the contract and the holders over HTTP as the honest one does."""

    async def deal() -> None:
        profile = load_profile(vault.vault.network.folder.root)
        async with open_session(profile, await dealer_identity(profile, "M3")) as session:
            await deal_falsely(session, "M3", "false", DATA, give_other_shares("m3-head"), audits=8)

    asyncio.run(deal())
    error = vault.said("get", "false", "-o", str(files / "none"), "--purpose", "test", code=1)[1]
    assert "m3-head" in error or "do not join" in error
    assert vault.json("abandon", "false", "--reason", "its dealer lied")["reason"] == "its dealer lied"
    assert "false was abandoned" in vault.said("get", "false", "-o", "-", "--purpose", "test", code=1)[1]


def test_an_emergency_read_needs_no_ledger(vault: Commands, files: Path) -> None:
    network = vault.vault.network
    vault.said("emergency", "keep", "oil", "-o", str(files / "oil.manifest"))
    for name in ("orderer1", "base-peer", "breaker-peer"):
        network.pause(name)
    try:
        wanted = ("--manifest", str(files / "oil.manifest"), "--reason", "breaker 3 burns", "-o", str(files / "wanted"))
        told = vault.json("emergency", "request", *wanted)
        approvals = []
        for holder in ("m3-head", "m3-displacement-1", "m3-vibration-1", "m3-current-1", "m3-capacitance-1"):
            home = network.folder.companion(PROCESS[holder])
            where = ("--data", str(home / "data"), "--identity", str(home / "identities" / holder))
            approvals.append(str(files / f"{holder}.approval"))
            agreed = ("--yes", holder, "--digest", told["request_sha256"], "-o", approvals[-1])
            assert main(["emergency", "approve", told["request"], "--holder", holder, *where, *agreed]) == 0
        opened = ("--key", told["key"], "-o", str(files / "oil.emergency"))
        assert main(["emergency", "open", told["request"], *approvals[1:], *opened]) == 1
        assert main(["emergency", "open", told["request"], *approvals, *opened]) == 0
    finally:
        for name in ("orderer1", "base-peer", "breaker-peer"):
            network.resume(name)
    assert (files / "oil.emergency").read_bytes() == DATA
    vault.said("emergency", "record", told["request"])
    purposes = [item["purpose"] for item in vault.json("reads", "oil")["items"]]
    assert f"emergency, request {told['request_sha256']}: breaker 3 burns" in purposes


def test_who_joins_and_who_is_revoked(vault: Commands, files: Path) -> None:
    """A weak id and a taken one are refused; a new holder gets no old share; a revoked one nothing new; after a reshare
    old and new shares never combine."""
    network = vault.vault.network
    old = Manifest.of(vault.json("show", "oil"))
    kept = {name: vault.vault.share_file(PROCESS[name], name, "oil").read_bytes() for name in PROCESS}
    (port,) = free_ports(1)
    joining = ("join-holder", "m3-vibration-3", "--cluster", "M3", "--port", str(port))
    assert "is the id of m3-head" in vault.said(*joining[:1], "m3-taken", *joining[2:], "--id", "301", code=1)[1]
    told = vault.json(*joining, "--id", "310")
    assert told["organisation"] == "Breaker"
    with _holder(network.folder.root, port):
        assert vault.json("admit", "m3-vibration-3")["admitted"] == ["m3-vibration-3"]
        assert vault.json("revoke", "m3-displacement-2", "--reason", "found opened")["holder"] == "m3-displacement-2"
        assert "m3-displacement-2" not in get(vault, files, "oil", "--all")[1]["answered"]
        assert vault.json("health", "oil")["objects"][0]["reshare_due"]
        cycle = vault.json("cycle", "--rotate-heads", "--reshare", "changed")
        assert (cycle["cycle"], cycle["new_heads"]) == (2, {"M3": "m3-vibration-1"})
        reshared = {each["object"]: each for each in cycle["reshared"]}
        assert reshared["oil"] == {"object": "oil", "version": 2}
        data, read = get(vault, files, "oil", "--all")
        assert data == DATA
        assert "m3-vibration-3" in read["answered"]
        assert "m3-displacement-2" not in read["answered"]
        assert not vault.vault.share_file("m3a", "m3-displacement-2", "oil", 2).exists()

        new = Manifest.of(vault.json("show", "oil"))
        present = {
            name: vault.vault.share_file(PROCESS[name], name, "oil", 2).read_bytes()
            for name in PROCESS
            if name != "m3-displacement-2"
        }
        names = [name for name in new.shares if name in present and name in old.shares]
        for count in (1, 4):
            mixed = {name: (kept if at < count else present)[name] for at, name in enumerate(names[:5])}
            for manifest in (old, new):
                with pytest.raises(SharingError):
                    join_object(manifest, mixed)
        gone = vault.vault.share_file("m3c", "m3-head", "oil")
        wait(lambda: not gone.exists(), "holders delete the version before")


def test_who_may_not_read_is_told_so(vault: Commands, files: Path) -> None:
    asyncio.run(vault.vault.user("Breaker", "clerk"))
    reading = ("get", "oil", "-o", str(files / "none"), "--purpose", "test", "--user", "Breaker/clerk")
    vault.said(*reading)
    identity = asyncio.run(vault.vault.user("Breaker", "clerk"))
    vault.said("revoke", "--certificate", identity.fingerprint, "--reason", "left the company")
    assert "was revoked by the base: left the company" in vault.said(*reading, code=1)[1]


@contextmanager
def _holder(root: Path, port: int) -> Iterator[None]:
    """The process of the further holder."""
    command = [sys.executable, "-m", "services.vault", "serve", "holders", "m3-vibration-3=310", "--cluster", "M3"]
    command += ["--as", "Breaker", "--listen", f"127.0.0.1:{port}", "--dir", str(root)]
    process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)
