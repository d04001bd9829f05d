"""What verifying a package found: the steps, what was proved of which transaction, and what was not."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from gridledger.evidence.errors import EvidenceError
from gridledger.evidence.stamp import Stamp


class Outcome(StrEnum):
    """How a verification ended."""

    PROVED = "proved"
    BROKEN = "broken"
    NOT_ANCHORED = "not-anchored"


EXIT_CODES: Final = {Outcome.PROVED: 0, Outcome.BROKEN: 1, Outcome.NOT_ANCHORED: 3}


class Broken(EvidenceError):
    """A step of a verification does not hold: ``step``, and the file of the package (``field``)."""

    def __init__(self, step: str, file: str, problem: str) -> None:
        super().__init__(file, problem, step=step)
        self.step = step
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was taken: its name, what it was about, and what it showed or what is wrong."""

    name: str
    file: str
    message: str
    holds: bool = True


@dataclass(frozen=True, slots=True)
class ProvedEvent:
    """An event of a device: it knew the secret of the key that the ledger has of it, and said this text."""

    channel: str
    device: str
    seq: int
    kind: str
    time_us: int
    text: str
    proof_key: str
    mspid: str
    block: int
    block_time_us: int
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProvedRow:
    """A row of measurements: it is the one at ``index`` of those that the device's batch ``seq`` is over."""

    channel: str
    device: str
    seq: int
    index: int
    row: str


@dataclass(frozen=True, slots=True)
class ProvedTransaction:
    """A transaction of the package. ``anchored``: the size of the tree whose head binds its block and its code; None on
    the anchoring channel, where orderers' and endorsers' signatures speak for it, and for what is not anchored yet."""

    channel: str
    block: int
    index: int
    tx_id: str
    chaincode: str
    function: str
    mspid: str
    signer: str
    block_time_us: int
    anchored: int | None


@dataclass(slots=True)
class Report:
    """The result. ``organisations``: by channel, who of how many attested its newest head in the package;
    ``verifier_sha256``: of the ``verify.pyz`` inside, empty where the package has not the form of one; ``stamp``: the
    time stamp over the package, None where none was judged."""

    outcome: Outcome = Outcome.PROVED
    steps: list[Step] = field(default_factory=list)
    transactions: list[ProvedTransaction] = field(default_factory=list)
    events: list[ProvedEvent] = field(default_factory=list)
    rows: list[ProvedRow] = field(default_factory=list)
    organisations: dict[str, tuple[tuple[str, ...], int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    disclosed: int = 0
    verifier_sha256: str = ""
    stamp: Stamp | None = None

    @property
    def exit_code(self) -> int:
        """0 proved, 1 broken, 3 not anchored yet."""
        return EXIT_CODES[self.outcome]

    @property
    def broken(self) -> Step | None:
        """The step that does not hold, if one does not."""
        return next((step for step in self.steps if not step.holds), None)

    def passed(self, name: str, file: str, message: str) -> None:
        """Note a step that holds."""
        self.steps.append(Step(name, file, message))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "outcome": str(self.outcome),
            "steps": [
                {"step": item.name, "file": item.file, "holds": item.holds, "message": item.message}
                for item in self.steps
            ],
            "organisations": {
                channel: {"attested": list(attested), "needed": needed}
                for channel, (attested, needed) in self.organisations.items()
            },
            "transactions": [{name: getattr(item, name) for name in item.__slots__} for item in self.transactions],
            "events": [
                {name: getattr(item, name) for name in item.__slots__} | {"marks": list(item.marks)}
                for item in self.events
            ],
            "rows": [{name: getattr(item, name) for name in item.__slots__} for item in self.rows],
            "disclosed": self.disclosed,
            "verifier_sha256": self.verifier_sha256,
            "stamp": None if self.stamp is None else self.stamp.to_dict(),
            "notes": list(self.notes),
        }
