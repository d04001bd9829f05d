"""Set-up on contracts in memory: the authority is founded, devices are registered and admitted, again is harmless."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gridledger.contract import ClientIdentity
from gridledger.errors import ConflictError, MalformedMessage, NotFoundError, SettingsError, UnavailableError
from gridledger.network.descriptions import write_both
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import NetworkConfig, load_network_config
from gridledger.transport.node_client import ConnectionFailed
from services.case import light_nodes, setting_up
from services.case.__main__ import main
from services.case.commands import device as device_command
from services.case.described import DescribedForensics, described_forensics
from services.case.ledger import CasesLedger, RegistryLedger, SectionLedger
from services.case.light_nodes import LightNode, held_devices, light_node, light_nodes_of
from tests.support.case_commands import ANYONE, HEAD, ROMAN, opener
from tests.support.contract_channel import ContractChannel
from tests.support.forensics_channel import person
from tests.support.processes import REPOSITORY
from tests.support.registry_channel import registering, rotating

NODE = LightNode("kyiv-1", "Kyiv", "https://127.0.0.1:5300")
REGISTRARS = {"Kyiv": person("KyivMSP", "registrar", 11, "registrar"), "Lviv": person("LvivMSP", "r", 12, "registrar")}
FORENSICS = DescribedForensics.model_validate(
    {
        "channel": "general",
        "chaincode": "cases",
        "devices": {"channel": "devices", "chaincode": "registry"},
        "access": {"channel": "access", "chaincode": "access"},
        "sections": {"transmission": "events"},
        "authority": "Authority",
        "investigators": "Investigators",
    }
)


class World:
    """The contracts, and what light nodes answer."""

    def __init__(self) -> None:
        self.cases, self.registry = ContractChannel("cases"), ContractChannel("registry")
        self.section = ContractChannel("events")
        self.answers: dict[str, Any] = {"/devices": {"items": [registering("pmu-1"), registering("pmu-2", 2)]}}
        self.away = 0

    def register(self, device: str, caller: ClientIdentity, **changes: Any) -> None:
        """Register a device by hand."""
        self.registry.call("RegisterDevice", registering(device, **changes), caller)

    def statuses(self) -> dict[str, str]:
        """What the section has."""
        return {each["device"]: each["status"] for each in self.section.pages("ListDevices", {})}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()

    async def registrar(_: Any, organisation: str) -> ClientIdentity:
        return REGISTRARS[organisation]

    async def head(_: Any) -> ClientIdentity:
        return HEAD

    async def roman(_: Any) -> ClientIdentity:
        return ROMAN

    def section(profile: Any, caller: ClientIdentity, name: str) -> Any:
        assert FORENSICS.section(name).chaincode == "events"
        return opener(SectionLedger, world.section)(profile, caller)

    class Client:
        """A light node over HTTP."""

        async def __aenter__(self) -> Client:
            return self

        async def __aexit__(self, *_: object) -> None:
            return None

        async def get(self, path: str, **_: Any) -> bytes:
            if world.away > 0:
                world.away -= 1
                raise ConnectionFailed("connection refused")
            return json.dumps(world.answers[path]).encode()

        async def post(self, path: str, body: bytes, **_: Any) -> bytes:
            assert body == b""
            return json.dumps(world.answers[path]).encode()

    for module in (setting_up, device_command):
        monkeypatch.setattr(module, "registrar_identity", registrar)
        monkeypatch.setattr(module, "registry_ledger", opener(RegistryLedger, world.registry))
    monkeypatch.setattr(setting_up, "authority_identity", head)
    monkeypatch.setattr(setting_up, "investigator_identity", roman)
    monkeypatch.setattr(setting_up, "cases_ledger", opener(CasesLedger, world.cases))
    monkeypatch.setattr(setting_up, "section_ledger", section)
    monkeypatch.setattr(setting_up, "described_forensics", lambda _: FORENSICS)
    monkeypatch.setattr(setting_up, "_POLL_S", 0.0)
    monkeypatch.setattr(light_nodes, "_client", lambda *_: Client())
    return world


async def set_up(*, wait_s: float = 5.0) -> Any:
    return await setting_up.set_up(None, [NODE], wait_s=wait_s)  # type: ignore[arg-type]


async def test_all_is_done_once(world: World) -> None:
    done = await set_up()
    assert (done["authority"], done["founded"]) == ("AuthorityMSP", ["registry", "cases"])
    told = {"section": "transmission", "lightnode": "kyiv-1", "done": "registered"}
    assert done["devices"] == [{"device": "pmu-1", **told}, {"device": "pmu-2", **told}]
    registered = world.registry.pages("ListDevices", {})
    assert [(each["device"], each["mspid"]) for each in registered] == [("pmu-1", "KyivMSP"), ("pmu-2", "KyivMSP")]
    admitted = world.section.call("GetDevice", {"device": "pmu-2"})
    assert (admitted["mspid"], admitted["proof_key"]) == ("KyivMSP", registered[1]["proof_key"])
    assert admitted["tx"] == registered[1]["tx"]
    assert world.cases.call("GetAuthority", {})["investigators"] == "InvestigatorsMSP"
    again = await set_up()
    assert again["founded"] == []
    assert {each["done"] for each in again["devices"]} == {"unchanged"}


async def test_what_was_cut_short_is_gone_on_with(world: World) -> None:
    world.register("pmu-1", REGISTRARS["Kyiv"])
    assert [each["done"] for each in (await set_up())["devices"]] == ["admitted", "registered"]
    assert set(world.statuses()) == {"pmu-1", "pmu-2"}


async def test_a_device_of_another_organisation_or_key_is_refused(world: World) -> None:
    world.register("pmu-1", REGISTRARS["Lviv"])
    with pytest.raises(ConflictError, match="a device pmu-1 of LvivMSP with another key"):
        await set_up()
    world.answers["/devices"] = {"items": [registering("pmu-3", 3)]}
    world.register("pmu-3", REGISTRARS["Kyiv"], number=4)
    with pytest.raises(ConflictError, match="rotate its key"):
        await set_up()


async def test_a_device_that_is_retired_is_refused(world: World) -> None:
    world.register("pmu-1", REGISTRARS["Kyiv"])
    world.registry.call("Retire", {"device": "pmu-1"}, REGISTRARS["Kyiv"])
    with pytest.raises(ConflictError, match="pmu-1 is retired"):
        await set_up()


async def test_another_organisation_that_came_first_is_told_of(world: World) -> None:
    named = {"investigators": "InvestigatorsMSP"}
    world.cases.call("SetAuthority", named, person("KyivMSP", "thief", 13, "authority"))
    with pytest.raises(ConflictError, match="the authority of cases is KyivMSP, not AuthorityMSP"):
        await set_up()


async def test_other_investigators_are_named_anew(world: World) -> None:
    world.cases.call("SetAuthority", {"investigators": "PoliceMSP"}, HEAD)
    assert (await set_up())["founded"] == ["registry", "cases"]
    assert world.cases.call("GetAuthority", {})["investigators"] == "InvestigatorsMSP"


async def test_light_nodes_are_waited_for_and_named(world: World) -> None:
    world.away = 3
    assert len((await set_up())["devices"]) == 2
    world.away = 10**6
    with pytest.raises(UnavailableError, match="the light node kyiv-1 does not answer at"):
        await set_up(wait_s=0.02)


@pytest.mark.parametrize(
    ("answer", "where"),
    [
        ([], "its answer: "),
        ({"items": [registering(proof_key="04")]}, "items.0.proof_key: "),
        ({"items": [registering(proof="x" * 194)]}, "items.0.proof: "),
        ({"items": [registering(device="a b")]}, "items.0.device: "),
        ({"items": [registering(site=7)]}, "items.0.site: "),
        ({}, "items: "),
    ],
)
async def test_a_light_node_may_answer_anything(world: World, answer: Any, where: str) -> None:
    world.answers["/devices"] = answer
    with pytest.raises(MalformedMessage, match=f"the light node kyiv-1 at https://127.0.0.1:5300: {where}"):
        await held_devices(None, NODE, ANYONE)  # type: ignore[arg-type]


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs ``gridledger case device``; its JSON."""
    del world

    async def identity_of(options: Any, profile: Any, enrols: Any = None) -> ClientIdentity:
        if options.user:
            return HEAD
        return ANYONE if enrols is None else await enrols(profile)

    async def first_user(_: Any) -> ClientIdentity:
        return ANYONE

    monkeypatch.setattr(device_command, "load_profile", lambda _: None)
    monkeypatch.setattr(device_command, "light_node", lambda *_: NODE)
    monkeypatch.setattr(device_command, "identity_of", identity_of)
    monkeypatch.setattr(device_command, "first_user", first_user)
    monkeypatch.setattr(device_command, "organisation_of", lambda _, mspid: mspid.removesuffix("MSP"))

    def run(*words: str) -> Any:
        assert main(["device", *words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def test_devices_are_registered_rotated_retired_and_revoked_by_commands(world: World, run: Any) -> None:
    done = run("register", "pmu-2", "--lightnode", "kyiv-1")["devices"]
    assert [(each["device"], each["done"]) for each in done] == [("pmu-2", "registered")]
    run("register", "--lightnode", "kyiv-1")
    world.answers["/devices/pmu-1/rotation"] = rotating("pmu-1", 1, 9) | {"unknown": 1}
    assert run("rotate", "pmu-1", "--lightnode", "kyiv-1")["key_number"] == 2
    assert run("retire", "pmu-1")["status"] == "retired"
    assert run("revoke", "pmu-2", "--reason", "found opened")["by"] == "KyivMSP"
    assert run("show", "pmu-2")["revoked"]["reason"] == "found opened"
    assert [each["device"] for each in run("list", "--status", "revoked")["items"]] == ["pmu-2"]


def test_the_authority_revokes_as_it_is_named(world: World, run: Any) -> None:
    world.registry.call("SetAuthority", {}, HEAD)
    run("register", "--lightnode", "kyiv-1")
    assert run("revoke", "pmu-2", "--reason", "stolen", "--user", "Authority/head")["by"] == "AuthorityMSP"


def test_a_device_that_its_light_node_does_not_hold(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    del run
    assert main(["device", "register", "pmu-7", "--lightnode", "kyiv-1"]) != 0
    assert "the light node kyiv-1 holds no pmu-7; it holds: pmu-1, pmu-2" in capsys.readouterr().err


def test_light_nodes_are_those_of_the_networks_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = load_network_config(REPOSITORY / "network-config/three-shards.yaml").model_dump(mode="json")
    config = NetworkConfig.model_validate({**members, "host": "192.0.2.7"})
    write_both(NetworkFolder(tmp_path), config)
    assert light_nodes_of(tmp_path) == []
    monkeypatch.setattr(light_nodes, "KIND", "rest")  # another companion stands for one
    expected = [LightNode("rest", "Org1", "https://192.0.2.7:7180")]
    assert light_nodes_of(tmp_path) == light_nodes_of(tmp_path / "connection.json") == expected


def test_what_the_shipped_description_says() -> None:
    config = load_network_config(REPOSITORY / "network-config/forensics.yaml")
    profile: Any = type("Profile", (), {"name": "forensics", "applications": config.applications})
    forensics = described_forensics(profile)
    assert (forensics.channel, forensics.chaincode, forensics.authority) == ("general", "cases", "Authority")
    assert forensics.section("section-home").chaincode == "events"
    with pytest.raises(SettingsError, match="'general' is no section of this network; there are: section-home"):
        forensics.section("general")
    profile.applications = {"forensics": {**config.applications["forensics"], "access": {"channel": "access"}}}
    with pytest.raises(SettingsError, match=r"applications\.forensics\.access\.chaincode of the network forensics"):
        described_forensics(profile)
    profile.applications = {}
    with pytest.raises(SettingsError, match="the network forensics has no forensics"):
        described_forensics(profile)


def test_a_light_node_that_is_not_described(tmp_path: Path) -> None:
    write_both(NetworkFolder(tmp_path), load_network_config(REPOSITORY / "network-config/three-shards.yaml"))
    with pytest.raises(NotFoundError, match="there is no light node 'home-9'; there are: none"):
        light_node(tmp_path, "home-9")
