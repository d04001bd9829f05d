"""The network of three cities with a light node in each and agents of anchors: any city, a full node, General lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from gridledger.client.anchors import AnchorsLedger, read_tree
from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.block import BlockHeader
from gridledger.protocol.headers import anchor_leaf
from gridledger.protocol.merkle import leaf_hash
from gridledger.protocol.statements import Head
from services.anchor.ledger import anchors_ledger
from services.case.__main__ import main
from services.case.ledger import access_ledger, cases_ledger, section_ledger
from tests.support.forensics_network import CITIES, ForensicsNetwork, forensics_description, forensics_network
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.deep, pytest.mark.timeout(400)]

SCOPE = {"channels": ["access", "section-home"], "from_us": 1, "to_us": 2}
LIGHT_NODES = {
    "kyiv": ("ln-transmission-1", "line-relay-1", "section-transmission"),
    "severodonetsk": ("ln-plant-1", "plant-relay-1", "section-plant"),
    "lviv": ("ln-home-1", "home-feeder-1", "section-home"),
}
"""By city: a light node, one of its devices, their section."""
COMPANIONS = {"anchor": {"interval_s": 1.0}, **{name: {} for name, _, _ in LIGHT_NODES.values()}}
AUTHORITYS = "peer-authority"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForensicsNetwork]:
    folder = tmp_path_factory.mktemp("cities") / "network"
    with forensics_network(forensics_description(COMPANIONS), folder) as network:
        assert main(["set-up", "--dir", str(network.folder)]) == 0
        yield network


@pytest.fixture
def run(running: ForensicsNetwork, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs ``gridledger case``; what it prints for programs."""

    def run(*words: str) -> Any:
        capsys.readouterr()
        assert main([*words, "--dir", str(running.folder), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def test_what_a_light_node_holds_is_registered_rotated_and_revoked(running: ForensicsNetwork, run: Any) -> None:
    """And its section hears of it by an agent."""
    held = {"home-meter-1", "home-meter-2", *(device for _, device, _ in LIGHT_NODES.values())}
    done = run("set-up")
    assert done["founded"] == []
    assert {each["device"] for each in done["devices"]} >= held
    assert {each["done"] for each in done["devices"]} == {"unchanged"}
    before = run("device", "show", "home-meter-1")
    rotated = run("device", "rotate", "home-meter-1", "--lightnode", "ln-home-1")
    assert (before["key_number"], rotated["key_number"]) == (1, 2)
    revoked = run("device", "revoke", "home-meter-2", "--reason", "found opened")
    assert revoked["by"] == "LvivMSP"
    asyncio.run(heard(running, rotated["proof_key"]))


async def heard(network: ForensicsNetwork, proof_key: str) -> None:
    """Wait until the section has home-meter-1's new key, and has suspended home-meter-2."""
    async with section_ledger(network.profile, await network.registrar("Lviv"), "section-home") as section:

        async def both() -> bool:
            meters = [await section.get_device(f"home-meter-{number}") for number in (1, 2)]
            return meters[0]["proof_key"] == proof_key and meters[1]["status"] == "suspended"

        await eventually(both, within_s=30, what="the section hears of a rotation and a revocation")


async def test_a_full_node_is_lost_and_its_light_node_goes_to_another(running: ForensicsNetwork) -> None:
    node, device, section = LIGHT_NODES["severodonetsk"]
    await running.network.kill("peer-severodonetsk")
    try:
        await running.until_logged(section, AUTHORITYS, device, await running.tell(node, device, 3))
        await running.until_anchored(section, AUTHORITYS)
    finally:
        await running.network.start("peer-severodonetsk")
    await running.network.agree(section)


async def test_general_is_away_and_anchors_catch_up(running: ForensicsNetwork) -> None:
    """With two of its four peers dead nothing is endorsed on general; a section of the other two's goes on."""
    node, device, section = LIGHT_NODES["kyiv"]
    dead = (AUTHORITYS, "peer-severodonetsk")
    before = await running.until_anchored(section, "peer-kyiv")
    await asyncio.gather(*(running.network.kill(peer) for peer in dead))
    try:
        await running.until_logged(section, "peer-lviv", device, await running.tell(node, device, 5))
        height = int((await running.network.status("peer-lviv", section))["height"])
        assert (await running.anchor_status(section, "peer-kyiv")).size == before < height
        async with cases_ledger(running.profile, await running.investigator()) as cases:
            with pytest.raises(GridLedgerError):
                await cases.open_case("while-general-is-away", "nothing is endorsed there", SCOPE)
    finally:
        await asyncio.gather(*(running.network.start(peer) for peer in dead))
    assert await running.until_anchored(section, "peer-kyiv") >= height


async def test_of_an_agent_that_lies_both_heads_are_kept_and_anchors_go_on(running: ForensicsNetwork) -> None:
    """Lviv's agent attests a block that there is not; the others attest the one that comes."""
    node, device, section = LIGHT_NODES["kyiv"]
    size = await running.until_anchored(section, "peer-kyiv")
    await running.network.kill("anchor-lviv")
    try:
        lie = await attested_lie(running, section, size)
        await running.until_logged(section, "peer-kyiv", device, await running.tell(node, device))

        async def forked() -> bool:
            return (await running.anchor_status(section, "peer-kyiv")).forks == 1

        await eventually(forked, within_s=45, what="the fork is on record", ignore=(GridLedgerError,))
        async with anchors_ledger(running.profile, await running.authority()) as anchors:
            (fork,) = await anchors.forks(section)
        heads = {tuple(head["organisations"]): head["root"] for head in fork["heads"]}
        assert fork["size"] == size + 1
        assert heads.pop(("LvivMSP",)) == lie
        assert set(heads) <= {("KyivMSP",), ("AuthorityMSP",), ("AuthorityMSP", "KyivMSP")}
        await running.until_anchored(section, "peer-kyiv")
    finally:
        await running.network.start("anchor-lviv")


async def attested_lie(running: ForensicsNetwork, section: str, size: int) -> str:
    """Attest the next size as Lviv's agent, over a block of its own making; the root that it said."""
    (home,) = (running.network.folder.companion("anchor-lviv") / "identities").iterdir()
    agent = SigningIdentity.load(home)
    async with running.network.gateway("peer-lviv") as gateway:
        tree, last = await read_tree(gateway.get_network(section), most=size)
    forged = BlockHeader.build(
        channel=section,
        number=size,
        previous_hash=last.header.hash,
        data_hash="ab" * 32,
        timestamp_us=last.header.timestamp_us + 1,
    )
    tree.append(leaf_hash(anchor_leaf(forged.text, "cd" * 32)))
    head = Head(tree.root(size + 1).hex(), forged.hash, "cd" * 32)
    async with running.network.gateway("peer-lviv", agent) as gateway:
        ledger = AnchorsLedger(gateway.get_network("general").get_contract("anchors"))
        proof = tree.consistency(size, size + 1)
        await ledger.attest(section, size + 1, head, height=size + 1, consistency=proof, opens=True)
    return head.root


async def test_any_city_may_be_lost(running: ForensicsNetwork) -> None:
    """With any one lost, devices' events, sessions, commands, cases, queries and anchors go on; with two lost they are
    read, and light nodes record on."""
    for city in CITIES:
        await go_on_without(running, city)
    petro, roman = await running.operator("Severodonetsk", "petro"), await running.investigator()
    for city in ("kyiv", "lviv"):
        await running.lose(city)
    async with access_ledger(running.profile, petro) as access, cases_ledger(running.profile, roman) as cases:
        read = {each["session"] async for each in access.sessions(is_open=True)}
        assert read >= {f"without-{city}" for city in CITIES}
        assert [each["text"] async for each in cases.queries("without-lviv")] == ["device breaker-7"]
        with pytest.raises(GridLedgerError):
            await access.open_session("nowhere", "petro", "t-1", "section-plant", "shift")
    node, device, section = LIGHT_NODES["severodonetsk"]
    async with running.section(section, "peer-severodonetsk") as contract:
        seq = (await contract.evaluate_transaction("GetDevice", {"device": device}))["head"]["seq"]
        assert await running.tell(node, device, 2) == seq + 2
        assert (await contract.evaluate_transaction("GetDevice", {"device": device}))["head"]["seq"] == seq
    for city in ("kyiv", "lviv"):
        await running.rebuild(city)
    await running.until_logged(section, "peer-severodonetsk", device, seq + 2)


async def go_on_without(network: ForensicsNetwork, city: str) -> None:
    """Lose a city with all that runs there; the others' light nodes log, an operator opens a session and commands, a
    case is opened and asked, and all of it is anchored; then the city comes back."""
    olha = await network.operator("Kyiv" if city == "lviv" else "Lviv", f"olha-{city}")
    head, roman = await network.authority(), await network.investigator()
    await network.lose(city)
    name = f"without-{city}"
    for node, device, section in (LIGHT_NODES[other] for other in CITIES if other != city):
        await network.until_logged(section, AUTHORITYS, device, await network.tell(node, device, 3))
        await network.until_anchored(section, AUTHORITYS)
    async with access_ledger(network.profile, olha) as access:
        await access.open_session(name, f"olha-{city}", "t-1", "section-home", "shift")
        await access.command(name, "breaker-7", "open")
    async with cases_ledger(network.profile, roman) as cases, cases_ledger(network.profile, head) as approving:
        await cases.open_case(name, "a city is lost", SCOPE)
        await approving.approve(name)
        await cases.query(name, "device breaker-7")
    await network.until_anchored("access", AUTHORITYS)
    await network.rebuild(city)
    node, device, section = LIGHT_NODES[city]
    await network.until_logged(section, AUTHORITYS, device, await network.tell(node, device))
