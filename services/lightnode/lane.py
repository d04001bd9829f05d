"""One device's way to its section: in the device's order, each event once, whatever becomes of the answers.

The ledger says where a device's chain ends. As long as one process alone sends its events and all goes well, the lane
knows that by itself; after a start, and after each answer that did not come, it asks. What it finds there it compares
with the records that wait: those that are there already are settled, and what is no record of this node is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gridledger.client.errors import CommitError, EndorseError
from gridledger.errors import AuthenticationError, PermissionDeniedError
from services.lightnode import metrics
from services.lightnode.aside import Aside
from services.lightnode.journal import InThread
from services.lightnode.keys import Keys
from services.lightnode.recorder.marks import ASIDE, FOREIGN, ON_CHAIN, Mark
from services.lightnode.recorder.recorder import Recorder
from services.lightnode.recorder.records import Record
from services.lightnode.sending import Logged, LoggedEvent, Place, Section, after, events_of, is_batch, text_bytes

MAX_EVENTS: Final = 256
"""Of one transaction."""
FEW: Final = 16
"""A device that has no more events waiting shares a transaction with others: of further ones it makes better use by
itself."""
MAX_TEXT_BYTES: Final = 384 * 1024
"""Of what the events of one transaction say, which stands in it twice: 64 KiB of a batch's synopsis for each of 64
would be more than a transaction may have."""
GATHERED: Final = 5
"""Batches that wait for one another: five in a transaction take little more than half the bytes of five transactions,
and further ones gain little."""
GATHER_S: Final = 300.0
"""A batch waits no longer for others."""
MAX_COMPARED: Final = 1024
"""So many events that are no records of this node are looked at one by one; of more, as after the loss of the
recorder's disk, the end alone is taken over."""

REFUSED: Final = "CHAINCODE_REFUSED"
"""The code of a contract's refusal."""

_SAID: Final = frozenset(
    (
        *("kind", "time_us", "body", "body_hash", "sealed"),
        *("from_us", "to_us", "rows", "root", "sha256", "uri", "synopsis"),
    )
)
"""Members of an event or a batch that the device says; the others say where it stands and by which key."""

ACTIVE, ASKING, NOT_ADMITTED, SUSPENDED, OTHER_KEY, BEHIND, NOT_ALLOWED = (
    "active",
    "asking",
    "not admitted",
    "suspended",
    "other key",
    "behind",
    "not allowed",
)
"""What keeps a device's events from the ledger, if anything: its section was not asked yet, has not admitted it, has
suspended it, or has another key of it; the peer that answers lacks what another one told; the light node may not."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """The oldest records of a lane as the contract takes them; ``seq`` is the first one's, ``end`` the end of the chain
    behind them."""

    records: list[Record]
    events: list[dict[str, Any]]
    seq: int
    end: Place


class Blocked(Exception):
    """The ledger takes no event of this device as things are; the lane's state says why."""


class Lane:
    """A device's. One step at a time."""

    def __init__(
        self,
        device: str,
        channel: str,
        section: Section,
        recorder: Recorder,
        *,
        keys: Keys,
        aside: Aside,
        gathered: int = GATHERED,
        in_thread: InThread = asyncio.to_thread,
        logged: Callable[[str, str], None] = lambda channel, tx: None,
    ) -> None:
        """``gathered``: so many batches go in one transaction where they can wait for one another. ``logged`` is told
        the channel and the id of each transaction that has events of this device."""
        self.device = device
        self.channel = channel
        self.state = ASKING
        self.why: str | None = None
        self.foreign = 0
        """Events of this device on the ledger that are no records of this node, found since the start."""
        self.set_aside = 0
        self._section = section
        self._recorder = recorder
        self._key = keys.key(device)
        self._keys = keys
        self._aside = aside
        self._gathered = gathered
        self._in_thread = in_thread
        self._logged = logged
        self._place: Place | None = None
        self._limit = MAX_EVENTS
        self._alone = False
        """Whether a transaction that it shared was refused for it."""
        self.gathering = 0
        """How many batches wait for further ones, as the last step found."""
        self._gathering_since: float | None = None

    @property
    def waiting(self) -> int:
        """How many records the ledger has not."""
        return self._recorder.device(self.device).waiting

    @property
    def section(self) -> Section:
        """Where its events go."""
        return self._section

    def ask_again(self) -> None:
        """Ask the ledger before anything is sent."""
        self._place = None

    async def step(self) -> float:
        """Bring the oldest events that wait to the ledger, in one transaction.

        Nothing is sent where batches alone wait, and fewer than are gathered: the answer is for how many seconds
        they wait for further ones; else it is 0. What is no batch goes at once, with the batches before it.

        Raises :class:`Blocked`, and the SDK's errors where the ledger cannot be reached; the lane asks again then.
        """
        self.gathering = 0
        try:
            if self._place is None:
                self._place = await self._reconciled()
            return await self._send(self._place)
        except BaseException:
            self._place = None
            raise

    # what it shares with other devices

    @property
    def shares(self) -> bool:
        """Whether its events may go in one transaction with other devices': few wait, it is known where its chain ends,
        and no such transaction was refused for it since it last went by itself."""
        return self._place is not None and not self._alone and 0 < self.waiting <= FEW

    @property
    def asks(self) -> bool:
        """Whether its events may be shared as soon as the ledger has said where its chain ends."""
        return self._place is None and not self._alone and self.waiting <= FEW

    async def ask(self) -> None:
        """Ask the ledger where the chain ends; raises as :meth:`step`."""
        self._place = await self._reconciled()

    async def prepare(self) -> Prepared | float:
        """The oldest events that wait; or, as :meth:`step` says it, for how long they wait for others."""
        self.gathering = 0
        if self._place is None:
            return 0.0
        place, records = self._place, await self._in_thread(self._recorder.oldest, self.device, min(FEW, self._limit))
        wait_s = self._gathers(records)
        return wait_s if wait_s or not records else await self._prepared(_together(records), place)

    def settle(self, prepared: Prepared, logged: Logged) -> None:
        """Note that the ledger has these events."""
        numbers = tuple(record.number for record in prepared.records)
        end = prepared.end
        self._recorder.settle(
            Mark(ON_CHAIN, self.device, numbers, prepared.seq, end.sha256, tx=logged.tx, block=logged.block)
        )
        self._logged(self.channel, logged.tx)
        metrics.FORWARDED.inc(len(numbers))
        self._place, self._alone, self._gathering_since = end, False, None
        self._limit = min(MAX_EVENTS, self._limit * 2)

    def go_alone(self) -> None:
        """Send the next events by themselves: a transaction with others' was refused for these."""
        self._alone = True

    async def give_up_waiting(self, why: str) -> int:
        """Set all records aside that wait, as an operator says; how many."""
        count = 0
        while records := await self._in_thread(self._recorder.oldest, self.device, MAX_EVENTS):
            await self._put_aside(records, why)
            count += len(records)
        self._place = None
        return count

    async def _send(self, place: Place) -> float:
        records: list[Record] = await self._in_thread(self._recorder.oldest, self.device, self._limit)
        wait_s = self._gathers(records)
        if wait_s or not records:
            return wait_s
        records = _together(records)
        prepared = await self._prepared(records, place)
        try:
            logged = await self._section.log(self.device, prepared.events)
        except EndorseError as error:
            if error.code != REFUSED:
                if isinstance(error.__cause__, PermissionDeniedError | AuthenticationError):
                    raise self._blocked(NOT_ALLOWED, error.message) from None
                raise
            await self._refused(records, place, error)
        except CommitError as error:
            # Another transaction wrote the device's chain or record meanwhile: the ledger says what it is now.
            _log.info("a transaction took no effect", extra={"device": self.device, "why": error.message})
            self._place = None
        else:
            self.settle(prepared, logged)
        return 0.0

    def _gathers(self, records: list[Record]) -> float:
        """For how many seconds these records wait for others."""
        few = len(records) < min(self._gathered, self._limit) and all(map(is_batch, records))
        if not few or not records:
            self._gathering_since = None
            return 0.0
        now = asyncio.get_running_loop().time()
        if self._gathering_since is None:
            self._gathering_since = now
        wait_s = max(0.0, self._gathering_since + GATHER_S - now)
        self.gathering = len(records) if wait_s else 0
        return wait_s

    async def _prepared(self, records: list[Record], place: Place) -> Prepared:
        events: list[dict[str, Any]]
        end: Place
        events, end = await self._in_thread(events_of, records, self.channel, place, self._key)
        return Prepared(records, events, place.seq + 1, end)

    async def _refused(self, records: list[Record], place: Place, error: EndorseError) -> None:
        """The contract says no: for what the device is now, for where its chain ends, or to a record itself."""
        key = self._key
        if await self._reconciled() != place or self._key is not key:
            self._place = None
            return
        if not _is_of_event(error.message):
            raise self._blocked(NOT_ALLOWED, error.message)
        if len(records) > 1:
            self._limit = max(1, len(records) // 2)  # which of them it is shows when they go in fewer
            return
        await self._put_aside(records, error.message)
        metrics.REFUSED.inc()
        _log.error(
            "the ledger refuses an event for good: it is set aside",
            extra={"device": self.device, "record": records[0].number, "why": error.message},
        )

    async def _put_aside(self, records: list[Record], why: str) -> None:
        await self._in_thread(self._aside.keep, records, why)
        index = self._recorder.device(self.device)
        numbers = tuple(record.number for record in records)
        self._recorder.settle(Mark(ASIDE, self.device, numbers, index.seq, index.sha256, why=why[:1000]))
        self.set_aside += len(records)

    # what the ledger has

    async def _reconciled(self) -> Place:
        """Where the device's chain ends, once all that is there is compared with what waits."""
        found = await self._section.device(self.device)
        if found is None:
            raise self._blocked(NOT_ADMITTED, f"{self.channel} has not admitted it: a registrar does so (AdmitDevice)")
        if found.status != "active":
            raise self._blocked(SUSPENDED, f"{self.channel} has it as {found.status}: its events are kept here")
        self._check_key(found.proof_key)
        index = self._recorder.device(self.device)
        known = Place(index.seq, index.sha256)
        if found.head.seq < known.seq:
            raise self._blocked(
                BEHIND, f"the peer has {found.head.seq} events of it, and another one has acknowledged {known.seq}"
            )
        if found.head.seq > known.seq:
            known = await self._compare(known, found.head)
        elif found.head != known:
            known = self._take_over(found.head, "the ledger has another event in its place")
        self.state, self.why = ACTIVE, None
        return known

    def _check_key(self, proof_key: str) -> None:
        if proof_key == self._key.public:
            return
        following = self._keys.next_key_if_any(self.device)
        if following is None or proof_key != following.public:
            raise self._blocked(OTHER_KEY, f"{self.channel} has another proof key of it than this node")
        self._key = self._keys.go_over(self.device)
        _log.info("a device has a new proof key", extra={"device": self.device})

    async def _compare(self, known: Place, head: Place) -> Place:
        """Settle the records that the ledger has already, and tell of events that are none."""
        strangers = 0
        while known.seq < head.seq:
            if strangers == MAX_COMPARED:
                return self._take_over(head, f"{head.seq - known.seq} further events are no records of this node")
            event = await self._section.event(self.device, known.seq + 1)
            oldest: list[Record] = await self._in_thread(self._recorder.oldest, self.device, 1)
            expected = after(oldest[0], self.channel, known) if oldest else None
            if expected is not None and expected.sha256 == event.sha256:
                self._settle_found(oldest[0], expected, event)
                known = expected
            else:
                strangers += 1
                known = self._take_over(Place(known.seq + 1, event.sha256), "it is no record of this node", event)
        if known != head:
            raise self._blocked(BEHIND, "the peers that were asked do not tell the same of the device's events")
        return known

    def _settle_found(self, record: Record, place: Place, event: LoggedEvent) -> None:
        mark = Mark(ON_CHAIN, self.device, (record.number,), place.seq, place.sha256, tx=event.tx, block=event.block)
        self._recorder.settle(mark)
        self._logged(self.channel, event.tx)
        metrics.FORWARDED.inc()

    def _take_over(self, place: Place, why: str, event: LoggedEvent | None = None) -> Place:
        self.foreign += 1
        metrics.FOREIGN.inc()
        _log.error(
            "the ledger has an event of a device that this node did not send: either the node lost its records, or "
            "somebody else has the device's key",
            extra={"device": self.device, "seq": place.seq, "tx": event.tx if event else None, "why": why},
        )
        self._recorder.settle(
            Mark(FOREIGN, self.device, (), place.seq, place.sha256, tx=event.tx if event else None, why=why)
        )
        return place

    def _blocked(self, state: str, why: str) -> Blocked:
        if self.state != state:
            _log.warning("a device's events are held back", extra={"device": self.device, "state": state, "why": why})
        self.state, self.why = state, why
        return Blocked(why)


def _is_of_event(refusal: str) -> bool:
    """Whether the contract refuses an event for what it says, and not for who brings it, or where it stands."""
    field = refusal.partition(":")[0].rpartition("].")[2]
    return field.partition(".")[0] in _SAID


def _together(records: list[Record]) -> list[Record]:
    """Those of the first records that one transaction takes; one at least."""
    size = 0
    for count, record in enumerate(records):
        size += text_bytes(record)
        if count and size > MAX_TEXT_BYTES:
            return records[:count]
    return records
