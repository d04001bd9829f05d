"""What the base does of itself: settle, abandon, audit, repair; driven by the state of each object on the ledger."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from gridledger.backoff import Backoff
from gridledger.client import ChaincodeEvent
from gridledger.client.application import Answer
from gridledger.errors import GridLedgerError
from services.vault.auditing import FAILED, HOLDER_AT_FAULT, PASSED, UNANSWERED, Audited, Auditor
from services.vault.base import metrics
from services.vault.base.again import Again
from services.vault.mending import Mended, mend
from services.vault.session import Session, why

INCOMPLETE, OPEN, STORED = "incomplete", "open", "stored"
PUT_EVENTS: Final = frozenset(("ObjectPut", "Reshared"))
MEND_EVENTS: Final = frozenset(("BadShare",))
_SETTLE_AFTER_S: Final = 2.0
"""The dealer settles first, as a rule."""
_OPEN_FOR_S: Final = 60.0
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_WAIT_S: Final = 15.0
_MAX_FINDINGS: Final = 200
_US: Final = 1_000_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TendingOptions:
    """As :class:`~services.vault.base.settings.BaseSettings` has them."""

    look_over_s: float = 60.0
    audit_every_s: float = 3600.0
    abandon_after_s: float = 3600.0
    repair: bool = True
    repair_again_s: float = 30.0
    max_objects: int = 100_000
    max_at_once: int = 4


@dataclass(slots=True)
class Seen:
    """What the base saw at its last look, and its newest findings."""

    looked_us: int | None = None
    objects: dict[str, int] = field(default_factory=dict)
    short: list[str] = field(default_factory=list)
    reshare_due: list[str] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)

    def find(self, audited: Audited) -> None:
        """Keep a finding; the oldest go."""
        self.findings = [*self.findings[1 - _MAX_FINDINGS :], audited.to_dict()]


class Tending:
    """The base at work. ``clock`` gives monotonic seconds, ``now_us`` the time that the ledger's are compared with."""

    def __init__(
        self,
        session: Session,
        auditor: Auditor,
        random: Random,
        options: TendingOptions,
        *,
        clock: Callable[[], float] = time.monotonic,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._session = session
        self._auditor = auditor
        self._random = random
        self._options = options
        self._clock = clock
        self._now_us = now_us
        self._at_once = asyncio.Semaphore(options.max_at_once)
        self._repairs = Again(options.repair_again_s, clock, random)
        self._findings = Again(options.repair_again_s, clock, random)
        self._under_repair: set[tuple[str, str]] = set()
        self._audited: dict[str, float] = {}
        self._soon: dict[str, float] = {}
        self.seen = Seen()

    async def look_over(self) -> None:
        """Look at all objects now and from time to time, until this is cancelled."""
        while True:
            try:
                await self.look()
            except GridLedgerError as error:
                _log.warning("the objects cannot be looked at: %s", error.message)
            await asyncio.sleep(self._options.look_over_s)

    async def follow(self, events: Callable[[], AsyncIterator[ChaincodeEvent]]) -> None:
        """Look at what events tell of, until this is cancelled. Without a ledger it is tried again; what was missed
        meanwhile is seen at the next look at all objects."""
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_WAIT_S, self._random)
        while True:
            try:
                async for event in events():
                    backoff.succeeded()
                    await self.take(event)
            except GridLedgerError as error:
                _log.warning("the ledger's events cannot be followed: %s", error.message)
            await asyncio.sleep(backoff.failed())

    async def take(self, event: ChaincodeEvent) -> None:
        """Look at what one event tells of, now or soon."""
        name = event.payload.get("object") if isinstance(event.payload, dict) else None
        if not isinstance(name, str):
            return
        if event.name in PUT_EVENTS and len(self._soon) < self._options.max_objects:
            self._soon.setdefault(name, self._clock())
        elif event.name in MEND_EVENTS:
            await self._guarded(name, self.tend)

    async def settle_soon(self) -> None:
        """Settle what was put a moment ago, as soon as enough holders have acknowledged, until this is cancelled."""
        while True:
            await asyncio.sleep(_SETTLE_AFTER_S / 2)
            for name, since in list(self._soon.items()):
                if self._clock() - since < _SETTLE_AFTER_S:
                    continue
                if await self._guarded(name, self._settled) or self._clock() - since > _OPEN_FOR_S:
                    self._soon.pop(name, None)

    async def look(self) -> None:
        """Look at all objects once."""
        began, seen = self._clock(), Seen(findings=self.seen.findings)
        names: list[str] = []
        async for item in self._session.ledger.objects():
            if len(names) >= self._options.max_objects:
                _log.error("there are more than %d objects: raise limits.max_objects", self._options.max_objects)
                break
            if item["abandoned"] is None:
                names.append(str(item["object"]))
        for name in names:
            health = await self._guarded(name, self.tend)
            if health is None:
                continue
            seen.objects[health["status"]] = seen.objects.get(health["status"], 0) + 1
            if health["status"] == STORED and not health["enough"]:
                seen.short.append(name)
            if health["reshare_due"]:
                seen.reshare_due.append(name)
        seen.looked_us, seen.findings = self._now_us(), self.seen.findings
        self.seen = seen
        self._forget(names)
        _tell(seen, self._clock() - began)

    async def tend(self, name: str) -> Answer:
        """Do what an object needs now; its health as it was before."""
        await self._settled(name)
        health = await self._session.ledger.get_health(name)
        if health["status"] == INCOMPLETE:
            await self._abandon_late(name)
        if health["status"] == STORED:
            await self._look_into_audits(health)
        if self._options.repair and (health["status"] == STORED or await self._is_left_open(health)):
            await self._mend_all(health)
        if health["status"] == STORED:
            await self._audit_one(health)
        return health

    async def auditable(self, name: str) -> list[str]:
        """The holders of an object that can be audited: live, with audits left."""
        health = await self._session.ledger.get_health(name)
        return [each["holder"] for each in health["holders"] if each["live"] and each["audits"]["left"] > 0]

    async def audit_all(self, name: str, holders: Sequence[str], wait_s: float) -> list[Audited | GridLedgerError]:
        """Audit these holders' shares side by side; what came of each, in their order."""

        async def one(holder: str) -> Audited | GridLedgerError:
            try:
                async with self._at_once:
                    audited = await self._auditor.audit(name, holder, wait_s=wait_s)
            except GridLedgerError as error:
                return error
            self._count(audited)
            return audited

        return list(await asyncio.gather(*map(one, holders)))

    async def _settled(self, name: str) -> bool:
        """Whether the newest version is stored, or there is nothing to wait for; it is settled now if it can be."""
        told = await self._session.ledger.get_object(name)
        if told["status"] in (STORED, "abandoned"):
            return True
        acks = await self._session.ledger.get_acks(name, told["version"])
        if len(acks["acks"]) < told["t"] + told["spare"]:
            return False
        settled = await self._session.ledger.settle(name, told["version"])
        return bool(settled["status"] == STORED)

    async def _is_left_open(self, health: Answer) -> bool:
        """Whether a version's dealer has given up before t + spare acknowledged, and t shares are there to repair the
        others from."""
        if health["status"] != OPEN or health["acks"] < health["t"]:
            return False
        return await self._is_past_its_dealer(health)

    async def _is_past_its_dealer(self, health: Answer) -> bool:
        """Whether a version's dealer has had its time to reach all holders and hand over what they say."""
        told = await self._session.ledger.get_object(health["object"], health["version"])
        return bool(self._now_us() - told["time_us"] > _OPEN_FOR_S * _US)

    async def _abandon_late(self, name: str) -> None:
        told = await self._session.ledger.get_object(name)
        age_s = (self._now_us() - told["time_us"]) / _US
        if told["stored"] or age_s < self._options.abandon_after_s:
            return
        minutes = round(age_s / 60)
        await self._session.ledger.abandon(name, f"fewer than t holders acknowledged within {minutes} min")
        metrics.ABANDONED.inc()
        _log.warning("%s was abandoned: fewer than t holders acknowledged within %d min", name, minutes)

    async def _look_into_audits(self, health: Answer) -> None:
        """Close audits that nobody answered, and find what is still to be found."""
        for holder in health["holders"]:
            audits, name = holder["audits"], holder["holder"]
            if audits["used"] > audits[PASSED] + audits[FAILED] + audits[UNANSWERED]:
                for number in await self._auditor.open_audits(health["object"], health["version"], name):
                    self._count(
                        await self._auditor.conclude(health["object"], health["version"], name, number, wait_s=0.0)
                    )
            last = audits["last"]
            if last is not None and last["outcome"] in (FAILED, UNANSWERED) and last["finding"] is None:
                await self._find_again(health, name, last["number"])

    async def _find_again(self, health: Answer, holder: str, number: int) -> None:
        """Each attempt is a read on the ledger, so one whose holder stays away is made seldom."""
        key = (str(health["object"]), holder)
        if not self._findings.is_due(key):
            return
        found = await self._auditor.find_again(key[0], health["version"], holder, number)
        if found.finding is None:
            self._findings.failed(key, found.why)
            return
        self._findings.succeeded(key)
        self._count(found)

    async def _mend_all(self, health: Answer) -> None:
        due = [holder for holder in health["holders"] if needs_repair(holder)]
        if any(not holder["acked"] for holder in due) and not await self._is_past_its_dealer(health):
            due = [holder for holder in due if holder["acked"]]  # the others may still be on their way
        for holder in due:
            await self._mend(health["object"], health["version"], str(holder["holder"]))

    async def _mend(self, name: str, version: int, holder: str) -> None:
        key = (name, holder)
        if key in self._under_repair or not self._repairs.is_due(key):
            return
        self._under_repair.add(key)  # an event and a look at all objects may come at once
        try:
            async with self._at_once:
                mended = await mend(self._session, name, holder, version)
        except GridLedgerError as error:
            metrics.REPAIRS.labels("failed").inc()
            if self._repairs.failed(key, why(error)):
                _log.warning("the share of %s for %s cannot be repaired yet: %s", name, holder, why(error))
            return
        finally:
            self._under_repair.discard(key)
        self._repairs.succeeded(key)
        metrics.REPAIRS.labels("done").inc()
        _log.info("the share of %s was repaired", _told(mended))

    async def _audit_one(self, health: Answer) -> None:
        """Audit a holder of the object, drawn at random, where it is time."""
        every_s, name = self._options.audit_every_s, str(health["object"])
        if not every_s:
            return
        # The first time is drawn too, so that a start does not audit everything at once.
        due = self._audited.setdefault(name, self._clock() + every_s * self._random.random())
        if self._clock() < due:
            return
        self._audited[name] = self._clock() + every_s
        able = [each["holder"] for each in health["holders"] if each["live"] and each["audits"]["left"] > 0]
        if able:
            async with self._at_once:
                self._count(await self._auditor.audit(name, self._random.choice(able), wait_s=5.0))

    def _count(self, audited: Audited) -> None:
        if audited.outcome is None and audited.finding is None:
            return
        metrics.AUDITS.labels(audited.outcome or "none", audited.finding or "none").inc()
        if audited.finding is not None:
            self.seen.find(audited)
            told = (audited.object, audited.holder, audited.finding, audited.why)
            _log.warning("audit of %s at %s: %s: %s", *told)

    async def _guarded(self, name: str, work: Callable[[str], Awaitable[Any]]) -> Any:
        """One object's trouble does not keep the others from being looked at; None where it failed."""
        try:
            return await work(name)
        except GridLedgerError as error:
            _log.warning("%s: %s", name, error.message)
            return None

    def _forget(self, names: list[str]) -> None:
        there = set(names)
        self._audited = {name: due for name, due in self._audited.items() if name in there}
        self._repairs.keep(there)
        self._findings.keep(there)


def needs_repair(holder: Answer) -> bool:
    """Whether a holder of a stored version, as GetHealth tells of it, should have its share put together again."""
    if holder["revoked"] or holder["id_changed"] or holder["deleted"]:
        return False
    last = holder["audits"]["last"]
    failed = last is not None and last["outcome"] != PASSED and last["finding"] == HOLDER_AT_FAULT
    return bool(holder["bad"] or failed or not holder["acked"])


def _told(mended: Mended) -> str:
    others = f"; wrong: {', '.join((*mended.named, *mended.suspects))}" if mended.named or mended.suspects else ""
    return f"{mended.object} at {mended.holder}, by {', '.join(mended.contributors)}{others}"


def _tell(seen: Seen, took_s: float) -> None:
    for status in (STORED, OPEN, INCOMPLETE):
        metrics.OBJECTS.labels(status).set(seen.objects.get(status, 0))
    metrics.SHORT.set(len(seen.short))
    metrics.RESHARE_DUE.set(len(seen.reshare_due))
    metrics.LOOK_SECONDS.set(took_s)
