"""Dealer, base and holders killed at every step of puts, reads, repairs and reshares: what the vault promises holds."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from typing import Any, TypeVar
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from gridledger.errors import GridLedgerError
from gridledger.sharing import commitment
from services.vault.auditing import Auditor
from services.vault.base.tending import Tending, TendingOptions
from services.vault.cycling import begin_next
from services.vault.dealer import Dealer
from services.vault.holder.upkeep import ACKNOWLEDGE_AFTER_S
from services.vault.mending import mend
from services.vault.reader import Reader
from services.vault.records import Manifest
from services.vault.resharing import reshare
from services.vault.session import Session
from services.vault.transport import PrivateKey
from services.vault.wire import PUT, Place, ServeRequest
from tests.support.examples import examples
from tests.support.vault_channel import CHANNEL
from tests.support.vault_kills import Killed, Life, MortalParties
from tests.support.vault_parties import READERS

_T = TypeVar("_T")
T, SPARE, N = 3, 1, 6
HOLDERS = tuple(f"m1-{number}" for number in range(1, N + 1))
CALLER = "caller"
MOST_STEPS = 80
"""More than any process takes for one put, read, repair or reshare."""

Death = tuple[str, int]
"""Who dies, a holder or who calls the holders; and at which of its steps."""

deaths = st.tuples(st.sampled_from((CALLER, CALLER, CALLER, *HOLDERS, "nobody")), st.sampled_from(range(48)))
numbers = st.sampled_from(range(N))
NOBODY: Death = ("nobody", 0)


async def at_once(function: Callable[..., _T], /, *arguments: Any, **named: Any) -> _T:
    """Stands for ``asyncio.to_thread``: a run is the same each time."""
    await asyncio.sleep(0)
    return function(*arguments, **named)


class Kills(RuleBasedStateMachine):
    """Objects of a cluster of six holders, any three of which give an object back; four must acknowledge."""

    most_objects = 4

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="vault-kills-")
        self._runner = asyncio.Runner()
        self._runner.get_loop().set_exception_handler(lambda *_: None)  # what the dead have left behind them
        self._undo = ExitStack()
        # A kill is no power loss: what was written is there without a flush.
        for flush in ("os.fsync", "os.fdatasync"):
            self._undo.enter_context(mock.patch(flush))
        self._undo.enter_context(mock.patch("asyncio.to_thread", at_once))
        self.caller = Life()
        self.parties = MortalParties(Path(self._folder.name), t=T, spare=SPARE, n=N)
        self.acknowledged: dict[str, bytes] = {}
        self.tried: dict[str, bytes] = {}
        self.revoked: str | None = None
        self.kept_by_revoked: set[str] = set()
        self.revoked_reader = False
        self.opened: list[bytes] = []

    def teardown(self) -> None:
        try:
            if self.parties.lives:
                self.all_start_again()
                self.everything_is_read()
        finally:
            self._undo.close()
            for hosted in self.parties.hosted.values():
                hosted.own.store.close()
            self._runner.close()
            self._folder.cleanup()

    # What is done

    @initialize()
    def set_up(self) -> None:
        self._run(self.parties.set_up(clusters=1))
        for name in HOLDERS:
            assert self.parties.start(name)
        self.holder_keys = {hosted.own.key.secret for hosted in self.parties.hosted.values()}
        self.put(size=1000, death=NOBODY)

    @rule(size=st.sampled_from((0, 1, 4096, 9000)), death=deaths)
    def put(self, size: int, death: Death) -> None:
        """An object; it counts as acknowledged once the dealer says so."""
        name = f"object-{len(self.tried)}"
        life = self._doom(death)
        if len(self.tried) >= self.most_objects:
            return
        data = self.tried[name] = Random(size).randbytes(size)

        async def work(session: Session) -> None:
            async with Dealer(session, audits=2, send_within_s=0.0) as dealing:
                await dealing.put(name, data, "M1", readers=READERS)
                acks = [key for key in self.parties.channel.stored_keys() if key.startswith(f"ack/{name}/")]
                assert len(acks) >= T + SPARE, "what the dealer calls acknowledged is on the ledger"
                if not life.dead:
                    self.acknowledged[name] = data
                    self._audit_of_loss(name)

        self._attempt(self.parties.dealer, life, work)

    @rule(which=numbers, death=deaths)
    def get(self, which: int, death: Death) -> None:
        """A read; what it gives is what was put, also of objects that nobody acknowledged."""
        name, life = self._chosen(which, self.tried), self._doom(death)

        async def work(session: Session) -> None:
            read = await Reader(session, answer_within_s=1.0).get(name, "study", ask_all=True)
            assert read.data == self.tried[name]

        self._attempt(self.parties.dealer, life, work)

    @rule(which=numbers, at=numbers, lost=st.booleans(), death=deaths)
    def damage_and_repair(self, which: int, at: int, lost: bool, death: Death) -> None:
        """A share is lost or rots, where one more than needed is there; the base repairs it, and may be killed."""
        name, target, life = self._chosen(which, self.acknowledged), HOLDERS[at], self._doom(death)
        version = self._stored(name)
        file = self.parties.share_file(target, name, version)
        if target in self._intact(name) and len(self._intact(name)) > T:
            if lost:
                file.unlink()
            else:
                self.parties.flip(target, name, version, at=file.stat().st_size // 2)

        async def work(session: Session) -> None:
            await mend(session, name, target, version)
            assert target in self._intact(name)

        self._attempt_as_base(life, work)

    @rule(death=deaths)
    def base_looks(self, death: Death) -> None:
        """The base looks at all objects, settles and repairs."""
        life = self._doom(death)
        self.parties.later(61)
        self._attempt_as_base(life, self._look)

    @rule(which=numbers, death=deaths)
    def reshare(self, which: int, death: Death) -> None:
        """New shares of an object."""
        name, life = self._chosen(which, self.acknowledged), self._doom(death)

        async def work(session: Session) -> None:
            async with Dealer(session, audits=2, send_within_s=0.0) as dealing:
                await reshare(session, dealing, name)

        self._attempt(self.parties.dealer, life, work)
        self._look_at_shares(name)

    @rule(at=numbers, next_cycle=st.booleans())
    def revoke_holder(self, at: int, next_cycle: bool) -> None:
        """A holder, where all objects can do without it."""
        name = HOLDERS[at]
        if (
            self.revoked
            or len(self.tried) < 2
            or any(len(self._intact(each) - {name}) < T for each in self.acknowledged)
        ):
            return
        self._run(self.parties.session(self.parties.base).ledger.revoke("stolen", holder=name))
        self.revoked, self.kept_by_revoked = name, self._files(name)
        if next_cycle:
            self._run(begin_next(self.parties.session(self.parties.base).ledger))

    @rule()
    def revoke_reader(self) -> None:
        """The reader, with a grant in its hand."""
        if self.revoked_reader:
            return
        session = self.parties.session(self.parties.reader)
        self.grants = {name: self._run(Reader(session).request(name, "study")) for name in self.acknowledged}
        self._run(
            self.parties.session(self.parties.base).ledger.revoke("left", certificate=session.identity.fingerprint)
        )
        self.revoked_reader = True

    @rule(at=numbers, dies_at=st.sampled_from(range(16)))
    def start_again(self, at: int, dies_at: int) -> None:
        """A holder's process, which may be killed while it opens its files."""
        name = HOLDERS[at]
        if self.parties.start(name, dies_at):
            self.parties.lives[name].left = None

    @rule()
    def holders_make_up(self) -> None:
        """Whoever has its share and lives is acknowledged in the end, whether the dealer lived or not."""
        self._make_up()
        for name in self.tried:
            self._look_at_shares(name)
            self._all_that_is_there_is_acknowledged(name)

    @rule()
    def all_start_again(self) -> None:
        """All holders come up, and look at their shares."""
        for name in HOLDERS:
            assert self.parties.start(name)
        for name in self.tried:
            self._look_at_shares(name)

    # What holds

    @invariant()
    def nothing_acknowledged_is_lost(self) -> None:
        for name in self.acknowledged:
            self._audit_of_loss(name)

    @invariant()
    def who_is_revoked_has_and_gives_nothing_new(self) -> None:
        name = self.revoked
        if name is None or name in self._dead():
            return
        assert self._files(name) <= self.kept_by_revoked
        calls = self.parties.mortal(self.parties.dealer, Life()).calls
        for each in self.acknowledged:
            manifest = self._manifest(each)
            url, own = f"https://127.0.0.1:1/holders/{name}", self.parties.hosted[name].own
            granted = self._run(self.parties.session(self.parties.dealer).ledger.request_read(each, "study"))
            request = ServeRequest(granted["read"], PrivateKey.generate().public.text)
            self._refused(calls.serve(url, each, manifest.version, request))
            if name in manifest.shares:
                place = Place(CHANNEL, each, manifest.version, name, manifest.cycle)
                self._refused(calls.put(url, each, manifest.version, own.key.public.seal(b"share", place.info(PUT))))

    @invariant()
    def a_revoked_reader_gets_nothing(self) -> None:
        if not self.revoked_reader:
            return
        calls = self.parties.mortal(self.parties.reader, Life()).calls
        for name, grant in self.grants.items():
            request = ServeRequest(grant.read, PrivateKey.generate().public.text)
            for holder in grant.manifest.shares:
                url = f"https://127.0.0.1:1/holders/{holder}"
                self._refused(calls.serve(url, name, grant.manifest.version, request))

    def everything_is_read(self) -> None:
        """At the end: all that was acknowledged reads back, and what a base does to it leaves it whole."""
        self._attempt_as_base(Life(), self._look)
        for name, data in self.acknowledged.items():
            reader = Reader(self.parties.mortal(self.parties.dealer, Life()), answer_within_s=1.0)
            assert self._run(reader.get(name, "study")).data == data

    def survives(self, work: Callable[[Death], None], death: Death) -> bool:
        """Whether who is to die came to the end before; nothing is lost, and all goes on after another start."""
        work(death)
        who = death[0]
        life = self.caller if who == CALLER else self.parties.lives[who]
        self.nothing_acknowledged_is_lost()
        assert who == CALLER or self.parties.start(who)
        name = [*self.tried][-1]
        self._make_up()
        if who != CALLER:
            self._look_at_shares(name, [who])  # as it does when it starts
        self._all_that_is_there_is_acknowledged(name)
        self._look_at_shares(name)
        return not life.dead

    # How

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self._runner.run(work)

    def _attempt(self, identity: Any, life: Life, work: Callable[[Session], Coroutine[Any, Any, None]]) -> None:
        """Work of a process that may die, or fail because another one does."""

        async def attempted() -> None:
            try:
                await work(self.parties.mortal(identity, life))
            except (GridLedgerError, Killed):
                return
            finally:
                mine = asyncio.current_task()
                left = [task for task in asyncio.all_tasks() if task is not mine]
                await asyncio.gather(*left, return_exceptions=True)

        self._run(attempted())

    def _attempt_as_base(self, life: Life, work: Callable[[Session], Coroutine[Any, Any, None]]) -> None:
        """The same for the base. No key share is in anything that it opens."""
        opened: list[bytes] = []
        honest = PrivateKey.open

        def watched(key: PrivateKey, *arguments: Any) -> bytes:
            found = honest(key, *arguments)
            if key.secret not in self.holder_keys:
                opened.append(found)
            return found

        with mock.patch.object(PrivateKey, "open", watched):
            self._attempt(self.parties.base, life, work)
        shares = [file.read_bytes() for file in self.parties.folder.glob("*/shares/object-*")]
        told = b"|".join(opened)
        assert not any(share[10:76] in told for share in shares if len(share) >= 76)

    async def _look(self, session: Session) -> None:
        options = TendingOptions(audit_every_s=0.0, repair_again_s=1.0)
        auditor = Auditor(session, self.parties.base_key, now_us=self.parties.now_us)
        clock = lambda: self.parties.now_us() / 1e6  # noqa: E731
        await Tending(session, auditor, Random(1), options, clock=clock, now_us=self.parties.now_us).look()

    def _doom(self, death: Death) -> Life:
        """Who dies so many steps from now, if it lives; the caller's life."""
        for life in self.parties.lives.values():
            life.left = None
        who, at = death
        if who in self.parties.lives:
            self.parties.lives[who].left = at
        self.caller = Life(at if who == CALLER else None)
        return self.caller

    def _dead(self) -> set[str]:
        return {name for name, life in self.parties.lives.items() if life.dead}

    def _chosen(self, which: int, names: dict[str, bytes]) -> str:
        return sorted(names)[which % len(names)]

    def _look_at_shares(self, name: str, holders: Sequence[str] = HOLDERS) -> None:
        """As holders do when an event tells them of an object."""
        for holder in holders:
            with suppress(GridLedgerError, Killed):
                self._run(self.parties.hosted[holder].upkeep.look_at_object(name))

    def _make_up(self) -> None:
        """As holders do once the dealer's time is over."""
        self.parties.later(ACKNOWLEDGE_AFTER_S + 1)
        for holder in HOLDERS:
            with suppress(GridLedgerError, Killed):
                self._run(self.parties.hosted[holder].upkeep.make_up())

    def _all_that_is_there_is_acknowledged(self, name: str) -> None:
        record = self.parties.channel.stored(f"object/{name}")
        if record is None or record["abandoned"]:
            return
        version = record["version"]
        acks = self._run(self.parties.session(self.parties.base).ledger.get_acks(name, version))["acks"]
        there = {holder for holder in HOLDERS if self.parties.hosted[holder].own.store.get((name, version))}
        assert there - self._dead() - {self.revoked} <= {ack["holder"] for ack in acks}

    def _manifest(self, name: str) -> Manifest:
        ledger = self.parties.session(self.parties.base).ledger
        told = self._run(ledger.get_object(name))
        return Manifest.of(self._run(ledger.get_object(name, told["stored"] or told["newest"])))

    def _stored(self, name: str) -> int:
        record = self.parties.channel.stored(f"stored/{name}")
        return int(record["version"]) if record else 1

    def _intact(self, name: str) -> set[str]:
        """The holders, not revoked, on whose disk the share of the version that readers get is whole."""
        version = self._stored(name)
        manifest = self.parties.channel.stored(f"version/{name}/{version:08}")
        found = set()
        for share in manifest["shares"]:
            file = self.parties.share_file(share["holder"], name, version)
            there = share["holder"] != self.revoked and file.exists()
            if there and commitment.root(file.read_bytes()).hex() == share["root"]:
                found.add(share["holder"])
        return found

    def _audit_of_loss(self, name: str) -> None:
        intact = self._intact(name)
        assert len(intact) >= T, f"{name}: {sorted(intact)} alone have their shares"

    def _files(self, name: str) -> set[str]:
        folder = self.parties.folder / name / "shares"
        return {file.name for file in folder.iterdir() if not file.name.startswith(".")}

    def _refused(self, call: Coroutine[Any, Any, Any]) -> None:
        with pytest.raises(GridLedgerError):
            self._run(call)


def test_no_kill_breaks_a_promise() -> None:
    run_state_machine_as_test(
        Kills, settings=settings(max_examples=examples(20, least=8), stateful_step_count=20, deadline=None)
    )


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_no_kill_breaks_a_promise_in_many_runs() -> None:
    run_state_machine_as_test(Kills, settings=settings(max_examples=200, stateful_step_count=40, deadline=None))


@pytest.mark.parametrize(
    ("what", "who", "least"),
    [
        ("put", CALLER, 20),
        ("put", "m1-2", 13),
        ("get", CALLER, 14),
        ("get", "m1-2", 7),
        ("repair", CALLER, 38),
        ("repair", "m1-2", 20),
        ("repair", "m1-3", 12),
        pytest.param("reshare", CALLER, 40, marks=pytest.mark.deep),
        pytest.param("reshare", "m1-2", 20, marks=pytest.mark.deep),
    ],
)
def test_each_step_may_be_the_last(what: str, who: str, least: int) -> None:
    """A process is killed at its first step, then at its second, until it comes to the end, which takes ``least`` steps
    or more. In a repair m1-2 is whose share is repaired, and m1-3 contributes."""
    world = Kills()
    world.most_objects = MOST_STEPS
    works: dict[str, Callable[[Death], None]] = {
        "put": lambda death: world.put(4096, death),
        "get": lambda death: world.get(0, death),
        "repair": lambda death: world.damage_and_repair(0, 1, death[1] % 2 == 0, death),
        "reshare": lambda death: world.reshare(0, death),
    }
    try:
        world.set_up()
        step = next(step for step in range(MOST_STEPS) if world.survives(works[what], (who, step)))
        assert step >= least
    finally:
        world.teardown()
