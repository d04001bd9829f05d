"""Objects, holders, cycles, reads and audits in any order: what must hold at any time."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.examples import examples
from tests.support.vault_channel import (
    AUDITS,
    BASE,
    HEAD,
    IDS,
    READER,
    SECURITY,
    STRANGER,
    Audits,
    S,
    VaultChannel,
    acking,
    client,
    cluster,
    digest,
    handing_over,
    holder,
    joining,
    kem_key,
    manifest,
    served,
)

OBJECTS = ("a", "b")
HOLDERS = st.sampled_from(SECURITY)
NAMES = st.sampled_from(OBJECTS)
NUMBERS = st.integers(0, AUDITS - 1)
FOREIGN = client("TransformerMSP", "other", 6, vault_role="reader")


class Life(RuleBasedStateMachine):
    """A model beside the contract: who is revoked, what was put, acknowledged, stored, granted and reported."""

    def __init__(self) -> None:
        super().__init__()
        self.channel = VaultChannel()
        self.cycle, self.t, self.next_t, self.spare = 1, 5, 5, 1
        self.active = set(SECURITY)
        self.revoked: set[str] = set()
        self.versions: dict[str, list[dict[str, Any]]] = {}
        self.acks: dict[tuple[str, int], set[str]] = {}
        self.stored: dict[str, int] = {}
        self.abandoned: set[str] = set()
        self.bad: set[tuple[str, int, str]] = set()
        self.reads: list[tuple[str, int, str]] = []
        self.joined = 0

    def expect(self, allowed: bool, function: str, argument: Any, caller: Any) -> Any:
        """Whether the contract agrees with the model; the payload, None where it refuses."""
        if allowed:
            return self.channel.call(function, argument, caller)
        self.channel.refused(function, argument, caller=caller)
        return None

    def newest(self, name: str) -> int:
        return len(self.versions.get(name, ()))

    def alive(self, name: str) -> bool:
        return name in self.versions and name not in self.abandoned

    def fitting(self, name: str, version: int) -> dict[str, Any] | None:
        """A manifest over all that are active and not revoked, None where they are too few."""
        who = sorted(self.active - self.revoked)
        if len(who) < self.t + self.spare + 1:
            return None
        return manifest(name, version=version, cycle=self.cycle, t=self.t, holders=who, ids=self.ids())

    def ids(self) -> dict[str, str]:
        return IDS | {f"m1-j{number}": str(7000 + number) for number in range(self.joined)}

    def identity(self, who: str) -> Any:
        if who in IDS:
            return holder(who)
        number = int(who[4:])
        own = {"vault_role": "sensor", "vault_cluster": "M1", "vault_id": str(7000 + number)}
        return client("SecurityMSP", who, 600 + number, **own)

    @initialize(count=st.integers(4, 7))
    def begin(self, count: int) -> None:
        self.put(OBJECTS[0])
        self.several_acknowledge(OBJECTS[0], count)

    @rule(name=NAMES)
    def put(self, name: str) -> None:
        argument = self.fitting(name, 1)
        if argument is None:
            return
        free = name not in self.versions and "m1-0" not in self.revoked
        if self.expect(free, "PutObject", argument, HEAD):
            self.versions[name] = [argument]

    @rule(name=NAMES, who=HOLDERS)
    def put_with_one_who_must_not(self, name: str, who: str) -> None:
        argument = manifest(name, cycle=self.cycle, t=self.t, holders=SECURITY)
        if set(SECURITY) - (self.active - self.revoked):
            self.channel.refused("PutObject", argument, caller=HEAD)
        self.channel.refused("PutObject", argument | {"cycle": self.cycle + 1}, caller=HEAD)

    @rule(name=NAMES, who=HOLDERS, back=st.integers(0, 1))
    def acknowledge(self, name: str, who: str, back: int) -> None:
        version = max(1, self.newest(name) - back)
        in_it = self.alive(name) and who in self.holders(name, version)
        allowed = in_it and who not in self.revoked
        if self.expect(allowed, "AckShare", acking(who, name, version), holder(who)):
            self.acks.setdefault((name, version), set()).add(who)
        self.channel.refused("AckShare", acking(who, name, version), caller=holder(who, mspid="StrangersMSP"))

    @rule(name=NAMES, who=st.lists(HOLDERS, min_size=1, max_size=9, unique=True), back=st.integers(0, 1))
    def hand_over(self, name: str, who: list[str], back: int) -> None:
        version = max(1, self.newest(name) - back)
        there = self.acks.get((name, version), set())
        in_it = self.alive(name) and set(who) <= set(self.holders(name, version))
        allowed = in_it and self.revoked.isdisjoint(set(who) - there)
        told = self.expect(allowed, "AckShares", handing_over(*who, name=name, version=version), BASE)
        if told is None:
            return
        assert told["added"] == [each for each in who if each not in there]
        self.acks[name, version] = there | set(who)
        acks = self.channel.call("GetAcks", {"object": name, "version": version})["acks"]
        assert {ack["holder"] for ack in acks} == self.acks[name, version]
        settled = self.channel.stored(f"settled/{name}/{version:08d}")
        assert (told["status"] == "stored") == (settled is not None)
        if settled is not None:
            assert len(told["acks"]) >= self.versions[name][version - 1]["t"] + self.spare
            self.stored[name] = max(version, self.stored.get(name, 0))

    @rule(name=NAMES, count=st.integers(5, 7))
    def several_acknowledge(self, name: str, count: int) -> None:
        for who in SECURITY[:count] if self.alive(name) else ():
            self.acknowledge(name, who, 0)

    def holders(self, name: str, version: int) -> list[str]:
        return [share["holder"] for share in self.versions[name][version - 1]["shares"]]

    @rule(name=NAMES)
    def settle(self, name: str) -> None:
        version = self.newest(name)
        told = self.expect(self.alive(name), "Settle", {"object": name}, BASE)
        if told is None:
            return
        count = {
            who for who in self.acks.get((name, version), set()) - self.revoked if (name, version, who) not in self.bad
        }
        enough = len(count) >= self.versions[name][version - 1]["t"] + self.spare
        assert (self.channel.stored(f"settled/{name}/{version:08d}") is not None) == (told["status"] == "stored")
        if self.stored.get(name) == version:
            assert told["status"] == "stored", "what is stored stays so"
            return
        assert (told["status"] == "stored") == enough
        if enough:
            assert set(told["acks"]) == count
            self.stored[name] = version

    @rule(name=NAMES)
    def reshare(self, name: str) -> None:
        if not self.alive(name):
            return
        version = self.newest(name) + 1
        argument = self.fitting(name, version)
        if argument is None:
            return
        read = self.channel.read(name, BASE, "reshare")
        self.channel.refused("Reshare", argument | {"read": read}, caller=READER)
        self.channel.call("Reshare", argument | {"read": read}, BASE)
        self.versions[name].append(argument)

    @rule(name=NAMES, caller=st.sampled_from((READER, HEAD, FOREIGN, STRANGER)))
    def read(self, name: str, caller: Any) -> None:
        may = self.alive(name) and (caller is READER or (caller is HEAD and "m1-0" not in self.revoked))
        told = self.expect(may, "RequestRead", {"object": name, "purpose": "x"}, caller)
        if told is None:
            return
        assert told["version"] == self.stored.get(name, self.newest(name))
        assert {each["holder"] for each in told["holders"]}.isdisjoint(self.revoked)
        if caller is READER:
            self.reads.append((name, told["version"], told["read"]))
        for who in SECURITY[1:4]:
            serve = self.channel.call("GetRead", {"object": name, "read": told["read"]}, holder(who))["serve"]
            assert serve is None or serve["allowed"] == (who not in self.revoked)

    @rule(who=HOLDERS, which=st.integers(0, 99))
    def report(self, who: str, which: int) -> None:
        if not self.reads:
            return
        name, version, read = self.reads[which % len(self.reads)]
        argument = served(name, version, who, read, digest("other"))
        known = who in self.holders(name, version) and (name, version, who) not in self.bad
        if self.expect(known, "ReportBad", argument, READER):
            self.bad.add((name, version, who))

    @rule(who=HOLDERS)
    def revoke(self, who: str) -> None:
        if len(self.revoked) == 3:  # else no cycle can begin any more
            return
        argument = {"holder": who, "reason": "x"}
        self.channel.refused("Revoke", argument, caller=STRANGER)
        if self.expect(who not in self.revoked, "Revoke", argument, BASE):
            self.revoked.add(who)

    @rule(name=NAMES, who=HOLDERS)
    def lose_one_and_go_on(self, name: str, who: str) -> None:
        self.put(name)
        self.several_acknowledge(name, 7)
        self.revoke(who)
        self.settle(name)
        self.read(name, READER)

    @rule()
    def newcomer(self) -> None:
        if self.joined == 3:
            return
        who = f"m1-j{self.joined}"
        self.joined += 1
        argument = joining("m1-0", holder=who, id=self.ids()[who], kem_key=kem_key(who))
        self.channel.call("Join", argument, self.identity(who))
        self.channel.refused("Join", argument | {"id": IDS["m1-1"]}, caller=self.identity(who))
        self.channel.call("Admit", {"holder": who}, BASE)
        assert not self.channel.call("GetHolder", {"holder": who})["active"]

    @rule(t=st.integers(3, 5))
    def set_t(self, t: int) -> None:
        self.channel.call("SetCluster", cluster("M1", t, self.spare), BASE)
        self.next_t = t

    @rule()
    def begin_cycle(self) -> None:
        alive = {*SECURITY, *(f"m1-j{number}" for number in range(self.joined))} - self.revoked
        head = "m1-0" if "m1-0" in alive else min(alive)
        argument = {"cycle": self.cycle + 1, "heads": {"M1": head}}
        self.channel.refused("BeginCycle", argument | {"cycle": self.cycle}, caller=BASE)
        if self.expect(len(alive) > self.next_t + self.spare, "BeginCycle", argument, BASE):
            self.cycle += 1
            self.t, self.active = self.next_t, alive

    @rule(name=NAMES, who=HOLDERS, number=NUMBERS, right=st.booleans(), late=st.booleans())
    def audit(self, name: str, who: str, number: int, right: bool, late: bool) -> None:
        version = self.newest(name)
        if not self.alive(name):
            return
        prepared = Audits(name, version, who)
        used = self.channel.stored(f"audit/{name}/{version:08d}/{who}/0000/{number:04d}") is not None
        may = who in self.acks.get((name, version), ()) and who not in self.revoked and not used
        if not self.expect(may, "Challenge", prepared.challenge(number), BASE):
            return
        own = {"object": name, "version": version, "number": number}
        answer = prepared.answer(number) if right else digest("x")
        closing = {"object": name, "holder": who, "number": number}
        if late:
            self.channel.now_us += 61 * S
            self.channel.refused("AuditShare", own | {"answer": answer}, caller=holder(who))
            assert self.channel.call("CloseAudit", closing, BASE)["outcome"] == "unanswered"
            return
        told = self.channel.call("AuditShare", own | {"answer": answer}, holder(who))
        assert told["outcome"] == ("passed" if right else "failed")
        self.channel.refused("AuditShare", own | {"answer": answer}, caller=holder(who))

    @rule(name=NAMES)
    def abandon(self, name: str) -> None:
        argument = {"object": name, "reason": "x"}
        self.channel.refused("Abandon", argument, caller=READER)
        by_base = self.alive(name) and name not in self.stored
        if self.expect(by_base, "Abandon", argument, BASE):
            self.abandoned.add(name)

    @invariant()
    def what_is_told_is_true(self) -> None:
        for name in self.versions:
            told = self.channel.call("GetObject", {"object": name})
            assert (told["newest"], told["stored"]) == (self.newest(name), self.stored.get(name))
            assert (told["status"] == "abandoned") == (name in self.abandoned)
            history = [entry.value["version"] for entry in self.channel.state.history("", f"object/{name}")][::-1]
            assert history == sorted(history), "versions only rise"
            stored = [entry.value["version"] for entry in self.channel.state.history("", f"stored/{name}")][::-1]
            assert stored == sorted(set(stored)), "and so do those that are stored"
            for version in range(1, self.newest(name) + 1):
                key = f"version/{name}/{version:08d}"
                assert len(list(self.channel.state.history("", key))) == 1, "a manifest is never written again"
            health = self.channel.call("GetHealth", {"object": name})
            live = {each["holder"] for each in health["holders"] if each["live"]}
            assert live <= self.acks.get((name, health["version"]), set()) - self.revoked


Life.TestCase.settings = settings(max_examples=examples(40, least=16), stateful_step_count=30, deadline=None)
TestLife = Life.TestCase
