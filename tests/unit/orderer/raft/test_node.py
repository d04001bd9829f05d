"""The node: many groups over one log and one connection per node, in this process and without a socket."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from services.orderer.raft.core import RaftCore
from services.orderer.raft.errors import (
    GroupBroken,
    GroupUnknown,
    LogMissing,
    MalformedBatch,
    NodeStopped,
    NotLeader,
    ProposalDropped,
    ProposalTimeout,
    RaftBusy,
    RaftConfigError,
    TransferFailed,
)
from services.orderer.raft.interface import (
    ChangeKind,
    CommittedEntry,
    Leadership,
    Link,
    Membership,
    MembershipChange,
    RaftSettings,
    Snapshot,
)
from services.orderer.raft.messages import (
    Entry,
    EntryKind,
    Kind,
    Message,
    pack_batch_header,
    pack_membership,
    pack_message,
    unpack_batch,
)
from services.orderer.raft.node import RaftNode
from services.orderer.raft.wal_records import GroupRecord, GroupWrite
from tests.support.waiting import eventually
from tests.unit.orderer.raft.rig import append

ABC = ("a", "b", "c")
NO_TICKS = RaftSettings(tick_s=3600.0, stop_grace_s=1.0)
QUICK = RaftSettings(tick_s=0.01, election_ticks=20, stop_grace_s=1.0)


class Machine:
    """A state machine that remembers what it applied, and may be slow, or broken."""

    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.applied = 0
        self.installed: list[Snapshot] = []
        self.leaderships: list[Leadership] = []
        self.hold_snapshot: asyncio.Event | None = None
        self.broken = False
        self.error: Exception | None = None

    async def apply(self, entries: Sequence[CommittedEntry]) -> None:
        if self.broken:
            raise RuntimeError("no more")
        if self.error is not None:
            raise self.error
        self.data += [entry.data for entry in entries]
        self.applied = entries[-1].index

    async def take_snapshot(self) -> bytes:
        if self.hold_snapshot is not None:
            await self.hold_snapshot.wait()
        return b"%d" % len(self.data)

    async def install_snapshot(self, snapshot: Snapshot) -> None:
        self.installed.append(snapshot)
        self.applied = snapshot.index

    def leadership_changed(self, leadership: Leadership) -> None:
        self.leaderships.append(leadership)


class Wire:
    """One node's transport: hands batches to the other nodes in the next turn of the loop."""

    def __init__(self, sender: str, nodes: dict[str, RaftNode]) -> None:
        self.sender = sender
        self.nodes = nodes
        self.cut: set[str | Link] = set()
        self.ways: dict[str, int] = {}
        self.sent: list[Message] = []

    def link(self, group: str, to: str) -> Link:
        return Link(to, self.ways.get(group, 0))

    async def send(self, link: Link, payload: bytes) -> None:
        node_id = link.to
        if self.cut & {node_id, link} or node_id not in self.nodes:
            raise ConnectionError(f"no way to {node_id}")
        self.sent += [message for _, message in unpack_batch(payload, node_id)[1]]
        asyncio.get_running_loop().call_soon(self._hand_over, node_id, payload)

    def _hand_over(self, node_id: str, payload: bytes) -> None:
        try:
            self.nodes[node_id].receive(lambda _: self.sender, payload)
        except NodeStopped:
            return


class HeldWriter:
    """A disk under a test's hand: a batch is durable when ``release`` says so."""

    def __init__(self) -> None:
        self.groups: dict[str, GroupRecord] = {}
        self.batches: list[Sequence[GroupWrite]] = []
        self._done: Callable[[Exception | None], None] | None = None

    def submit(self, writes: Sequence[GroupWrite], done: Callable[[Exception | None], None]) -> None:
        assert self._done is None, "two batches at a time"
        self.batches.append(writes)
        self._done = done

    def release(self, error: Exception | None = None) -> None:
        done, self._done = self._done, None
        assert done is not None, "nothing is being written"
        done(error)

    @property
    def busy(self) -> bool:
        return self._done is not None

    def crowded(self) -> list[str]:
        return []

    async def close(self) -> None:
        return


class Cluster:
    def __init__(self, folder: Path, settings: RaftSettings) -> None:
        self.folder = folder
        self.settings = settings
        self.nodes: dict[str, RaftNode] = {}
        self.wires: dict[str, Wire] = {}
        self.machines: dict[tuple[str, str], Machine] = {}

    async def start(self, name: str, groups: Sequence[str] = ("g",), members: Sequence[str] = ABC) -> RaftNode:
        wire = self.wires.setdefault(name, Wire(name, self.nodes))
        seed = random.Random(name)
        node = self.nodes[name] = await RaftNode.open(name, self.folder / name, wire, self.settings, random=seed)
        for group in groups:
            machine = self.machines.setdefault((name, group), Machine())
            await node.add_group(group, members, machine, applied=machine.applied)
        return node

    def data(self, group: str = "g") -> list[list[bytes]]:
        return [machine.data for (_, of), machine in self.machines.items() if of == group]

    async def leads(self, group: str = "g", *, among: Sequence[str] = ABC) -> str:
        async def ready() -> str | None:
            return next((name for name in among if self.nodes[name].leadership(group).ready), None)

        found = await eventually(ready, within_s=20, what="a leader that is ready")
        assert found is not None
        return found

    async def all_hold(self, data: Sequence[bytes], group: str = "g") -> None:
        async def equal() -> bool:
            return all(held == list(data) for held in self.data(group))

        await eventually(equal, within_s=20, what="equal state machines")


@asynccontextmanager
async def cluster(
    folder: Path, settings: RaftSettings = NO_TICKS, groups: Sequence[str] = ("g",)
) -> AsyncIterator[Cluster]:
    made = Cluster(folder, settings)
    try:
        for name in reversed(ABC):  # the first name asks for votes as soon as it is there
            await made.start(name, groups)
        yield made
    finally:
        for node in made.nodes.values():
            await node.stop()


async def turns(count: int = 20) -> None:
    """Let everything happen that waits for nothing but its turn."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_nothing_on_a_proposals_way_waits_for_a_tick(tmp_path: Path) -> None:
    async with cluster(tmp_path) as made:  # in this one a tick never comes
        leader = await made.leads()
        sent = [b"%d" % n for n in range(20)]
        for data in sent:
            await made.nodes[leader].propose("g", data)
        await made.all_hold(sent)
        assert leader == "a"


async def test_proposals_under_way_together_share_writes(tmp_path: Path) -> None:
    async with cluster(tmp_path) as made:
        node = made.nodes[await made.leads()]
        before = node.counters.writes
        indexes = await asyncio.gather(*(node.propose("g", b"%d" % n) for n in range(200)))
        assert list(indexes) == sorted(indexes)
        await made.all_hold([b"%d" % n for n in range(200)])
        assert node.counters.writes - before < 20


async def test_groups_share_writes_and_have_logs_of_their_own(tmp_path: Path) -> None:
    groups = ("g", "h", "i")
    async with cluster(tmp_path, groups=groups) as made:
        for group in groups:
            await made.leads(group)
        node = made.nodes["a"]
        before = (node.counters.writes, node.counters.group_writes)
        await asyncio.gather(*(node.propose(group, group.encode()) for group in groups))
        for group in groups:
            await made.all_hold([group.encode()], group)
        writes, group_writes = node.counters.writes - before[0], node.counters.group_writes - before[1]
        assert group_writes == 3
        assert writes == 1
        assert node.groups() == sorted(groups)


async def test_a_follower_says_who_leads(tmp_path: Path) -> None:
    async with cluster(tmp_path) as made:
        await made.leads()
        with pytest.raises(NotLeader) as caught:
            await made.nodes["b"].propose("g", b"x")
        assert caught.value.leader == "a"
        with pytest.raises(GroupUnknown):
            await made.nodes["b"].propose("other", b"x")


async def test_a_node_goes_on_where_its_machine_was(tmp_path: Path) -> None:
    async with cluster(tmp_path, QUICK) as made:
        node = made.nodes[await made.leads()]
        for n in range(5):
            await node.propose("g", b"%d" % n)
        await made.all_hold([b"%d" % n for n in range(5)])
        for stopped in made.nodes.values():
            await stopped.stop()
        forgetful = made.machines[("b", "g")]  # its machine had not synced the last two
        forgetful.data, forgetful.applied = forgetful.data[:3], forgetful.applied - 2
        for name in ABC:
            await made.start(name)
        node = made.nodes[await made.leads()]
        await node.propose("g", b"5")
        await made.all_hold([b"%d" % n for n in range(6)])


async def test_a_majority_is_enough_and_who_comes_back_catches_up(tmp_path: Path) -> None:
    async with cluster(tmp_path, QUICK) as made:
        node = made.nodes[await made.leads()]
        away = next(name for name in ABC if name != node.node_id)
        await made.nodes.pop(away).stop()
        for n in range(50):
            await node.propose("g", b"%d" % n)
        await made.start(away)
        await made.all_hold([b"%d" % n for n in range(50)])


async def test_who_is_too_far_behind_gets_a_snapshot(tmp_path: Path) -> None:
    settings = replace(QUICK, snapshot_entries=10, trailing_entries=2)
    async with cluster(tmp_path, settings) as made:
        node = made.nodes[await made.leads()]
        away = next(name for name in ABC if name != node.node_id)
        await made.nodes.pop(away).stop()
        for n in range(40):
            await node.propose("g", b"%d" % n)
        await made.start(away)
        machine = made.machines[(away, "g")]

        async def caught_up() -> bool:
            return bool(machine.installed) and machine.applied == node.status("g").applied

        await eventually(caught_up, within_s=20, what="a snapshot installed")
        assert machine.installed[0].data == b"%d" % (machine.installed[0].index - 1)


async def test_a_leaders_snapshot_that_comes_while_one_is_taken_wins(tmp_path: Path) -> None:
    # Its log is replaced under the machine's feet: the snapshot being taken is of a log that is gone.
    writer, nodes = HeldWriter(), dict[str, RaftNode]()
    wire, machine = Wire("a", nodes), Machine()
    node, machine = await alone(writer, wire)
    give(node, append(1, 0, 0, (1, 1), commit=2))
    await saved(writer)
    machine.hold_snapshot = asyncio.Event()
    compacting = asyncio.create_task(node.compact("g"))
    await turns()
    snapshot = Snapshot(9, 1, Membership(frozenset(ABC)), b"9")
    give(node, Message(Kind.SNAPSHOT, "b", "a", 1, 9, 1, snapshot=snapshot))
    await saved(writer)
    machine.hold_snapshot.set()
    async with asyncio.timeout(5):
        assert await compacting == 9
    assert machine.installed == [snapshot]
    assert node.status("g").applied == 9
    await node.stop()


async def alone(writer: HeldWriter, wire: Wire, settings: RaftSettings = NO_TICKS) -> tuple[RaftNode, Machine]:
    """Node a with a disk under the test's hand; the others are what ``give`` says."""
    node = RaftNode("a", writer, wire, settings, random.Random(1))
    machine = Machine()
    adding = asyncio.create_task(node.add_group("g", ("b", "a", "c", "0"), machine))
    await turns()
    writer.release()
    await adding
    return node, machine


def give(node: RaftNode, *messages: Message) -> None:
    """A batch from another node."""
    batch = pack_batch_header(messages[0].sender) + b"".join(pack_message("g", message) for message in messages)
    node.receive(lambda _: messages[0].sender, batch)


async def saved(writer: HeldWriter) -> None:
    """Let the disk finish all that comes up."""
    await turns()
    while writer.busy:
        writer.release()
        await turns()


class Sink(Wire):
    """A transport that only remembers."""

    async def send(self, link: Link, payload: bytes) -> None:
        self.sent += [message for _, message in unpack_batch(payload, link.to)[1]]


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (append(1, 0, 0, (1, 1)), Kind.APPEND_REPLY),
        (Message(Kind.VOTE, "b", "a", 1), Kind.VOTE_REPLY),
        (
            Message(Kind.SNAPSHOT, "b", "a", 1, 5, 1, snapshot=Snapshot(5, 1, Membership(frozenset(ABC)), b"")),
            Kind.APPEND_REPLY,
        ),
    ],
    ids=["append", "vote", "snapshot"],
)
async def test_what_promises_something_leaves_when_the_disk_has_it(message: Message, answer: Kind) -> None:
    writer, wire = HeldWriter(), Sink("a", {})
    node, machine = await alone(writer, wire)
    give(node, message)
    await turns()
    assert writer.busy
    assert wire.sent == []
    assert machine.installed == []
    writer.release()
    await turns()
    assert [(m.kind, m.reject) for m in wire.sent] == [(answer, False)]
    await node.stop()


async def test_what_a_failed_disk_should_have_held_is_never_promised() -> None:
    writer, wire = HeldWriter(), Sink("a", {})
    node, _ = await alone(writer, wire)
    give(node, append(1, 0, 0, (1,)))
    await turns()
    writer.release(OSError(5, "Input/output error"))
    await turns()
    assert wire.sent == []
    async with asyncio.timeout(5):
        assert isinstance(await node.failure(), OSError)
    with pytest.raises(NodeStopped):
        give(node, append(1, 0, 0, (1,)))
    with pytest.raises(NodeStopped):
        await node.propose("g", b"x")
    await node.stop()


async def test_what_comes_up_during_a_write_is_the_next_write() -> None:
    writer, wire = HeldWriter(), Sink("a", {})
    node, machine = await alone(writer, wire)
    give(node, append(1, 0, 0, (1,)))
    await turns()
    before = len(writer.batches)
    for after in range(1, 6):
        give(node, append(1, after, 1, (1,), commit=6))
    await turns()
    assert len(writer.batches) == before
    writer.release()
    await turns()
    # Handed out turn by turn: at most one Ready a turn, all in one write, one acknowledgement for all.
    assert sum(len(write.entries) for write in writer.batches[-1]) == 5
    writer.release()
    await turns()
    assert max(m.index for m in wire.sent) == 6
    assert machine.applied == 6
    await node.stop()


async def test_only_what_is_durable_here_is_applied() -> None:
    writer, wire = HeldWriter(), Sink("a", {})
    node, machine = await alone(writer, wire)
    give(node, append(1, 0, 0, (1, 1), commit=2))
    await turns()
    assert machine.applied == 0
    writer.release()
    await turns()
    assert machine.applied == 2
    await node.stop()


async def test_a_proposal_whose_place_another_entry_took_is_lost() -> None:
    writer, wire = HeldWriter(), Sink("a", {})
    node, machine = await alone(writer, wire)
    core = node._groups["g"].core
    core.campaign()
    for kind, term in ((Kind.PRE_VOTE_REPLY, 1), (Kind.VOTE_REPLY, 1)):
        for other in "bc":
            give(node, Message(kind, other, "a", term))
            await saved(writer)
    assert core.is_leader
    waiting = asyncio.create_task(node.propose("g", b"x"))
    await saved(writer)
    give(node, append(2, 0, 0, (2, 2), commit=2))  # the next leader's entries and that they are committed, at one go
    await saved(writer)
    with pytest.raises(ProposalDropped) as caught:
        await waiting
    assert caught.value.details["outcome"] == "lost"
    assert machine.data == [b"1/2", b"2/2"]
    await node.stop()


async def test_a_machine_that_fails_stops_its_group_alone(tmp_path: Path) -> None:
    async with cluster(tmp_path, groups=("g", "h")) as made:
        node, other = made.nodes[await made.leads()], made.nodes[await made.leads("h")]
        made.machines[("b", "g")].broken = True
        await node.propose("g", b"x")

        async def broken() -> bool:
            return made.nodes["b"].status("g").broken == "no more"

        await eventually(broken, within_s=10, what="a broken group")
        await node.propose("g", b"y")  # the others go on
        assert made.machines[("b", "g")].data == []
        assert (made.nodes["b"].leader("g"), made.machines[("b", "g")].leaderships[-1].leader) == (None, None)
        with pytest.raises(GroupBroken, match="no more"):
            await made.nodes["b"].propose("g", b"z")
        await other.propose("h", b"x")

        async def applied() -> bool:
            return made.machines[("b", "h")].data == [b"x"]

        await eventually(applied, within_s=10, what="the other group goes on")


async def test_a_machine_whose_disk_fails_stops_the_node(tmp_path: Path) -> None:
    async with cluster(tmp_path) as made:
        node = made.nodes[await made.leads()]
        made.machines[("b", "g")].error = OSError(5, "Input/output error")
        await node.propose("g", b"x")
        async with asyncio.timeout(10):
            assert isinstance(await made.nodes["b"].failure(), OSError)


async def test_two_leaders_of_one_term_cost_the_group_alone() -> None:
    writer, wire = HeldWriter(), Sink("a", {})
    node, machine = await alone(writer, wire)
    adding = asyncio.create_task(node.add_group("h", ("0", "a", "b"), Machine()))
    await saved(writer)
    await adding
    node._groups["g"].core.campaign()
    for kind in (Kind.PRE_VOTE_REPLY, Kind.VOTE_REPLY):
        for name in "bc":
            give(node, Message(kind, name, "a", 1))
        await saved(writer)
    assert node.leadership("g").is_self
    waiting = asyncio.create_task(node.propose("g", b"x"))
    await turns()
    give(node, Message(Kind.HEARTBEAT, "b", "a", 1))
    assert "two leaders in term 1" in (node.status("g").broken or "")
    with pytest.raises(GroupBroken):
        await waiting
    assert machine.leaderships[-1].leader is None
    wire.sent.clear()
    node.receive(lambda _: "b", pack_batch_header("b") + pack_message("h", Message(Kind.HEARTBEAT, "b", "a", 1)))
    await saved(writer)
    assert (node.leader("h"), [item.kind for item in wire.sent]) == ("b", [Kind.HEARTBEAT_REPLY])
    await node.stop()


async def test_who_is_no_member_of_a_group_is_not_heard() -> None:
    writer, wire = HeldWriter(), Sink("a", {})
    node, _ = await alone(writer, wire)
    heartbeat = pack_batch_header("b") + pack_message("g", Message(Kind.HEARTBEAT, "b", "a", 7))
    node.receive(lambda _: None, heartbeat)
    with pytest.raises(MalformedBatch, match="a batch of b came from c"):
        node.receive(lambda _: "c", heartbeat)
    assert (node.status("g").term, node.counters.messages_refused) == (0, 1)
    node.receive({"g": "b"}.get, heartbeat)
    assert node.status("g").term == 7
    await saved(writer)
    await node.stop()


async def test_a_member_is_one_until_its_removal_is_committed() -> None:
    """A removal that may still be undone must not keep the others from hearing it."""
    writer, wire = HeldWriter(), Sink("a", {})
    node, _ = await alone(writer, wire)
    removal = Entry(1, 7, EntryKind.MEMBERSHIP, pack_membership(Membership(frozenset(("a", "b#1")))))

    def tell(message: Message) -> None:
        node.receive({"g": "b"}.get, pack_batch_header("b#1") + pack_message("g", message))

    assert node.is_member("g", "c")
    tell(Message(Kind.APPEND, "b#1", "a", 7, entries=(removal,)))
    assert node.status("g").membership.voters == {"a", "b#1"}
    assert node.is_member("g", "c")
    tell(Message(Kind.COMMIT, "b#1", "a", 7, 1, commit=1))
    assert not node.is_member("g", "c")
    assert node.is_member("g", "b")
    await saved(writer)
    await node.stop()


async def test_batches_from_others_are_not_trusted() -> None:
    writer, wire = HeldWriter(), Sink("a", {})
    node, _ = await alone(writer, wire)
    foreign = pack_batch_header("c") + pack_message("g", append(1, 0, 0))
    for payload in (b"", b"\x02", pack_batch_header("b") + b"\x01", foreign):
        with pytest.raises(MalformedBatch):
            node.receive(lambda _: "b", payload)
    before = pack_batch_header("b") + pack_message("unknown", append(1, 0, 0))
    node.receive(lambda _: "b", before)  # a channel that this node does not serve (yet): not a fault
    await turns()
    assert wire.sent == []
    await node.stop()


async def test_a_start_never_begins_a_log(tmp_path: Path) -> None:
    node = await RaftNode.open("a", tmp_path, Sink("a", {}), NO_TICKS)
    with pytest.raises(LogMissing, match="a has no log of g"):
        await node.add_group("g", ABC, Machine(), create=False)
    await node.create_group("g", ABC)
    await node.create_group("g", ("a",))
    await node.add_group("g", (), Machine(), create=False)
    assert node.status("g").membership.voters == frozenset(ABC)
    await node.stop()


async def test_a_machine_ahead_of_the_log_is_refused(tmp_path: Path) -> None:
    node = await RaftNode.open("a", tmp_path, Sink("a", {}), NO_TICKS)
    with pytest.raises(RaftConfigError, match="lost its end"):
        await node.add_group("g", ABC, Machine(), applied=7)
    await node.stop()


async def test_proposals_are_bounded_in_number_and_time(tmp_path: Path) -> None:
    settings = replace(NO_TICKS, max_pending_proposals=3)
    async with cluster(tmp_path, settings) as made:
        name = await made.leads()
        node = made.nodes[name]
        made.wires[name].cut = set(ABC)
        waiting = [asyncio.create_task(node.propose("g", b"x", timeout_s=0.05)) for _ in range(3)]
        await turns()
        with pytest.raises(RaftBusy):
            await node.propose("g", b"x")
        for task in waiting:
            with pytest.raises(ProposalTimeout):
                await task


async def test_a_stopped_node_answers_what_waits(tmp_path: Path) -> None:
    async with cluster(tmp_path) as made:
        name = await made.leads()
        made.wires[name].cut = set(ABC)
        waiting = asyncio.create_task(made.nodes[name].propose("g", b"x"))
        await turns()
        await made.nodes[name].stop()
        with pytest.raises(NodeStopped):
            await waiting
        await made.nodes[name].stop()


async def test_membership_and_leadership_move_while_it_works(tmp_path: Path) -> None:
    async with cluster(tmp_path, QUICK) as made:
        node = made.nodes[await made.leads()]
        others = [name for name in ABC if name != node.node_id]
        await node.propose("g", b"1")
        await node.transfer_leadership("g", others[0], timeout_s=10)
        await made.leads(among=others[:1])
        node = made.nodes[others[0]]
        await node.change_membership("g", MembershipChange(ChangeKind.REMOVE, others[1]))
        await made.nodes[others[1]].remove_group("g")
        assert node.status("g").membership.voters == frozenset(ABC) - {others[1]}
        await node.propose("g", b"2")
        await made.nodes[others[1]].add_group("g", ABC, made.machines[(others[1], "g")], applied=0)
        made.machines[(others[1], "g")].data.clear()
        await node.change_membership("g", MembershipChange(ChangeKind.ADD_VOTER, others[1]))
        await made.all_hold([b"1", b"2"])


async def test_a_node_has_another_name_in_a_group_that_it_joined(tmp_path: Path) -> None:
    """Beside a group that it began: each group's messages go out under the name that the group knows."""
    async with cluster(tmp_path, QUICK, groups=()) as made:
        machines = {name: Machine() for name in ABC}
        for name in ABC:
            await made.nodes[name].add_group("f", ABC, machines[name])
        for name in ABC[:2]:
            made.machines[(name, "g")] = Machine()
            await made.nodes[name].add_group("g", ABC[:2], made.machines[(name, "g")])
        made.nodes["c#1"] = made.nodes["c"]
        made.machines[("c", "g")] = Machine()
        await made.nodes["c"].add_group("g", ABC[:2], made.machines[("c", "g")], node_id="c#1")
        leader = made.nodes[await made.leads(among=ABC[:2])]
        await leader.propose("g", b"1")
        await leader.change_membership("g", MembershipChange(ChangeKind.ADD_VOTER, "c#1"))
        await leader.propose("g", b"2")
        await made.all_hold([b"1", b"2"])
        await leader.transfer_leadership("g", "c#1", timeout_s=10)
        await made.nodes["c"].propose("g", b"3")
        await made.all_hold([b"1", b"2", b"3"])
        await made.nodes[await made.leads("f")].propose("f", b"4")
        assert made.nodes["c"].status("f").membership.voters == frozenset(ABC)


async def test_a_log_that_no_group_took_is_forgotten_too(tmp_path: Path) -> None:
    async with cluster(tmp_path) as made:
        node = made.nodes["a"]
        await node.create_group("h", ["a"])
        await node.remove_group("h")
        await node.remove_group("h")
        with pytest.raises(LogMissing):
            await node.add_group("h", (), Machine(), create=False)


async def test_a_leader_leads_on_where_nobody_takes_over(tmp_path: Path) -> None:
    async with cluster(tmp_path, QUICK) as made:
        name = await made.leads()
        absent = next(other for other in ABC if other != name)
        await made.nodes[absent].stop()
        with pytest.raises(TransferFailed):
            await made.nodes[name].transfer_leadership("g", absent, timeout_s=10)
        await made.nodes[name].propose("g", b"1")


async def test_a_link_that_fails_holds_up_its_own_groups_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[RaftCore] = []
    real = RaftCore.unreachable

    def unreachable(core: RaftCore, node_id: str) -> None:
        told.append(core)
        real(core, node_id)

    monkeypatch.setattr(RaftCore, "unreachable", unreachable)
    async with cluster(tmp_path, QUICK, groups=("g", "h")) as made:
        leader = await made.leads("g")
        if await made.leads("h") != leader:
            await made.nodes[await made.leads("h")].transfer_leadership("h", leader, timeout_s=10)
        node, wire = made.nodes[leader], made.wires[leader]
        other = next(item for item in ABC if item != leader)
        told.clear()
        wire.ways = {"h": 1}
        wire.cut = {Link(other, 1)}
        for group in ("g", "h"):
            await node.propose(group, b"1")
        await made.all_hold([b"1"], "g")
        assert set(told) == {node._groups["h"].core}
        assert node.status("h").followers[other].state == "probe"
        wire.ways, wire.cut = {"h": 2}, set()
        await made.all_hold([b"1"], "h")
        assert {link.way for link in node._outboxes if link.to == other} == {0, 2}


async def test_a_batch_that_could_not_be_sent_is_sent_again(tmp_path: Path) -> None:
    async with cluster(tmp_path, QUICK) as made:
        name = await made.leads()
        other = next(item for item in ABC if item != name)
        made.wires[name].cut = {other}
        for n in range(10):
            await made.nodes[name].propose("g", b"%d" % n)
        made.wires[name].cut = set()
        await made.all_hold([b"%d" % n for n in range(10)])


async def test_the_outbox_to_a_node_that_takes_nothing_is_bounded(tmp_path: Path) -> None:
    settings = replace(NO_TICKS, max_node_outbox_bytes=10_000, max_append_bytes=1_000, max_inflight_bytes=10**9)
    async with cluster(tmp_path, settings) as made:
        name = await made.leads()
        wire = made.wires[name]
        slow = next(item for item in ABC if item != name)
        stuck = asyncio.Event()
        real = wire.send

        async def send(link: Link, payload: bytes) -> None:
            if link.to == slow:
                await stuck.wait()
            await real(link, payload)

        wire.send = send  # type: ignore[method-assign]
        node = made.nodes[name]
        for _ in range(100):
            await node.propose("g", b"x" * 1_000)
        assert node._outboxes[Link(slow)]._bytes <= 10_000
        assert node.counters.messages_dropped > 0
        assert node.status("g").followers[slow].state == "probe"
        stuck.set()
