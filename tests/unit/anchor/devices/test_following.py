"""A section is told within seconds of what the registry says, by the real contracts; and what differs is an alarm."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from gridledger.contract import ClientIdentity
from gridledger.errors import GridLedgerError, UnavailableError
from services.anchor.devices.deciding import Rekey, Suspend, Wrong, due, turn_of
from services.anchor.devices.following import TURN_S, DeviceFollower
from tests.support.contract_channel import CHANNEL
from tests.support.events_channel import AGENT, OTHER_AGENT, EventsChannel, admitting
from tests.support.registry_channel import KYIV, RegistryChannel, proof_key, rotating

ORGANISATIONS = ("KyivMSP", "LvivMSP", "AuthorityMSP")


class World:
    """A registry with two devices, a section where both are admitted, and agents by organisation."""

    def __init__(self) -> None:
        self.registry = RegistryChannel().register("pmu-1", "relay-7")
        self.section = EventsChannel()
        self.now_s = 1000.0
        self.away = False
        self.agents = {name: self.agent(name, who) for name, who in (("KyivMSP", AGENT), ("LvivMSP", OTHER_AGENT))}

    def agent(self, mspid: str, caller: ClientIdentity) -> DeviceFollower:
        return DeviceFollower(mspid, WorldRegistry(self), WorldSection(self, caller), lambda: self.now_s)

    def say(self, function: str, argument: Any) -> None:
        """Somebody calls the registry, and its event reaches the agents."""
        self.registry.call(function, argument, KYIV)
        for one in self.agents.values():
            one.note(*self.registry.event())

    async def run(self, seconds: float, *agents: str) -> None:
        for _ in range(int(seconds)):
            for name in agents or self.agents:
                await self.agents[name].once()
            self.now_s += 1

    def on_section(self, device: str = "pmu-1") -> Any:
        return self.section.call("GetDevice", {"device": device})


class WorldRegistry:
    def __init__(self, world: World) -> None:
        self._world = world
        self.channel = CHANNEL

    async def device(self, device: str) -> Any:
        answer = self._world.registry.ask("GetDevice", {"device": device})
        return answer.payload if answer.successful else None

    async def keys(self, device: str) -> list[Any]:
        return self._world.registry.pages("GetKeys", {"device": device})


class WorldSection:
    def __init__(self, world: World, caller: ClientIdentity) -> None:
        self._world = world
        self._caller = caller
        self.channel = "section-transmission"

    async def device(self, device: str) -> Any:
        answer = self._world.section.ask("GetDevice", {"device": device})
        return answer.payload if answer.successful else None

    async def devices(self) -> AsyncIterator[Any]:
        for item in self._world.section.pages("ListDevices", {}):
            yield item

    async def suspend(self, device: str, tx: str, revoked_us: int) -> Any:
        return self._call("SuspendDevice", {"device": device, "tx": tx, "revoked_us": revoked_us})

    async def rekey(self, device: str, channel: str, key: Mapping[str, Any]) -> Any:
        fields = ("proof_key", "certificate_sha256", "tx", "proof_old", "proof_new")
        return self._call("RekeyDevice", {"device": device, "channel": channel, **{name: key[name] for name in fields}})

    async def organisations(self) -> tuple[str, ...]:
        return ORGANISATIONS

    def _call(self, function: str, argument: Any) -> Any:
        if self._world.away:
            raise UnavailableError("the section is away")
        answer = self._world.section.ask(function, argument, self._caller)
        if not answer.successful:
            raise GridLedgerError(answer.message, code="CHAINCODE_REFUSED")
        return answer.payload


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(("function", "argument"), [("Revoke", {"reason": "stolen"}), ("Retire", {})])
async def test_a_device_that_is_revoked_or_retired_is_suspended_at_once(
    world: World, function: str, argument: dict[str, str]
) -> None:
    await world.run(3)
    assert all(agent.told == 0 for agent in world.agents.values())
    world.say(function, {"device": "pmu-1", **argument})
    registered = world.registry.call("GetDevice", {"device": "pmu-1"})
    await world.run(2)
    record = world.on_section()
    assert (record["status"], record["suspensions"][-1]["by"]) == ("suspended", "KyivMSP")
    assert record["suspensions"][-1]["tx"] == (registered["revoked"] or registered["retired"])["tx"]
    assert (world.agents["KyivMSP"].told, world.agents["LvivMSP"].told) == (1, 0)
    assert world.on_section("relay-7")["status"] == "active"
    await world.run(20)
    assert sum(agent.told for agent in world.agents.values()) == 1


async def test_another_organisation_suspends_where_the_own_agent_is_away(world: World) -> None:
    world.say("Revoke", {"device": "pmu-1", "reason": "stolen"})
    await world.run(TURN_S - 1, "LvivMSP")
    assert world.on_section()["status"] == "active"
    await world.run(2 * TURN_S + 2, "LvivMSP")
    assert world.on_section()["suspensions"][-1]["by"] == "LvivMSP"


async def test_new_keys_are_handed_over_one_after_the_other_by_the_own_agent_alone(world: World) -> None:
    world.say("RotateKey", rotating("pmu-1", 1, 2))
    world.say("RotateKey", rotating("pmu-1", 2, 3))
    await world.run(3)
    assert world.on_section()["proof_key"] == proof_key("pmu-1", 3)
    assert (world.agents["KyivMSP"].told, world.agents["LvivMSP"].told) == (2, 0)
    world.say("RotateKey", rotating("relay-7", 1, 2))
    await world.run(15, "LvivMSP")
    assert "relay-7: the section has not got its new key" in world.agents["LvivMSP"].alarms.on["devices"]
    await world.run(5)
    assert world.on_section("relay-7")["proof_key"] == proof_key("relay-7", 2)
    assert not world.agents["LvivMSP"].alarms.on


async def test_what_was_said_while_nobody_listened_is_found_by_comparing(world: World) -> None:
    world.registry.call("Revoke", {"device": "pmu-1", "reason": "stolen"}, KYIV)
    world.registry.call("RotateKey", rotating("relay-7", 1, 2), KYIV)
    await world.run(3)
    assert world.on_section()["status"] == "suspended"
    assert world.on_section("relay-7")["proof_key"] == proof_key("relay-7", 2)


async def test_what_the_registry_does_not_have_is_an_alarm(world: World) -> None:
    world.section.call("AdmitDevice", admitting("ghost"), AGENT)
    world.section.call("AdmitDevice", admitting("pmu-9", proof_key=proof_key("pmu-9", 5)), AGENT)
    world.registry.register("pmu-9")
    await world.run(2)
    told = world.agents["KyivMSP"].alarms.on["devices"]
    assert "ghost: it is admitted, and nobody has registered it" in told
    assert "pmu-9: it is admitted with a key that it never had in the registry" in told
    assert world.agents["KyivMSP"].state()["due"] == 0


async def test_a_section_that_is_away_is_told_when_it_is_back(world: World) -> None:
    await world.run(2)
    world.away = True
    world.say("Revoke", {"device": "pmu-1", "reason": "stolen"})
    with pytest.raises(UnavailableError):
        await world.run(1, "KyivMSP")
    world.away = False
    world.now_s += 5
    await world.run(2, "KyivMSP")
    assert world.on_section()["status"] == "suspended"


def test_what_is_due_follows_from_both_records() -> None:
    section = {"device": "d", "mspid": "A", "status": "active", "proof_key": "1"}
    registered = {"device": "d", "mspid": "A", "status": "active", "revoked": None}
    keys = [{"proof_key": "1"}, {"proof_key": "2"}]
    assert due(section, registered, keys[:1]) is None
    assert due(section, registered, keys) == Rekey("d", keys[1])
    revoked = {**registered, "status": "revoked", "revoked": {"tx": "t", "time_us": 7}}
    assert due(section, revoked, keys) == Suspend("d", "t", 7)
    assert due({**section, "status": "suspended"}, revoked, keys) is None
    assert due({**section, "proof_key": "2"}, registered, keys) is None
    assert isinstance(due({**section, "mspid": "B"}, registered, keys), Wrong)
    assert [turn_of(name, "B", ("A", "B", "C")) for name in "ABCD"] == [1, 0, 2, None]
