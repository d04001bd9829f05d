"""Questions to the rows of a case, and the texts by which they stand on the ledger before they are answered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from gridledger import jsontext
from services.case.errors import BadQuestion, OutOfScope
from services.case.rows import ALL_KINDS

SEARCH, TIMELINE, EXPORT, RULES, REPORT, PACKAGE, ENF = (
    "search",
    "timeline",
    "export",
    "rules",
    "report",
    "package",
    "enf",
)
PURPOSES: Final = (SEARCH, TIMELINE, EXPORT, RULES, REPORT, PACKAGE, ENF)
"""What a question is asked for; it stands in its text."""

BODIES, FILES, ROWS = "bodies", "files", "rows"
PARTS: Final = (BODIES, FILES, ROWS)
"""What a package takes from light nodes beside the ledger: bodies that stay off it, batches' files, or their rows."""

SAID, BLOCK = "said", "block"
"""By which time rows are chosen and ordered: the time told, or the block's."""

MAX_TEXT: Final = 4096
"""Characters of a question's text: as long as the contract takes."""
MAX_LIMIT: Final = 10_000
MAX_LISTED: Final = 64
MAX_WORDS: Final = 16
MAX_TRANSACTIONS: Final = 50
"""Transactions that one question names: more do not fit into its text."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TX: Final = re.compile(r"[0-9a-f]{64}")
_PART: Final = re.compile("|".join(PARTS))
_BOOKMARK: Final = re.compile(r"(?:[0-9]{1,16}|u)\.[0-9]{1,19}", re.ASCII)
_WORD: Final = re.compile(r"[\w-]+")
_TIME_LIMIT_US: Final = 10**16
_LISTS: Final = ("channels", "devices", "operators", "terminals", "sessions", "kinds")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for: rows that fit all the members that are there.

    Names are listed sorted. ``from_us`` is the first time that counts, ``to_us`` the first that does not, ``by`` which
    time that is. ``words`` must all stand in a row; one with ``*`` at its end is the beginning of a word.
    ``is_valid``: rows of valid transactions; without it those of the others, which are no evidence. ``bookmark`` is
    that of the page before. ``parts``: of :data:`PARTS`, for packages alone.
    """

    channels: tuple[str, ...] | None = None
    devices: tuple[str, ...] | None = None
    operators: tuple[str, ...] | None = None
    terminals: tuple[str, ...] | None = None
    sessions: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    transactions: tuple[str, ...] | None = None
    from_us: int | None = None
    to_us: int | None = None
    words: tuple[str, ...] = ()
    by: str = SAID
    is_valid: bool = True
    limit: int = 1000
    bookmark: str | None = None
    parts: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Raises :class:`BadQuestion`."""
        for member in _LISTS:
            _check_names(getattr(self, member), member)
        for kind in self.kinds or ():
            if kind not in ALL_KINDS:
                raise BadQuestion("kinds", f"there is no kind {kind!r}; there are: {', '.join(sorted(ALL_KINDS))}")
        _check_list(self.transactions, "transactions", _TX, "a transaction's id, 64 hex digits", MAX_TRANSACTIONS)
        for member in ("from_us", "to_us"):
            value = getattr(self, member)
            if value is not None and not (type(value) is int and 0 <= value < _TIME_LIMIT_US):
                raise BadQuestion(member, "must be microseconds since 1970")
        if self.from_us is not None and self.to_us is not None and self.from_us >= self.to_us:
            raise BadQuestion("to_us", "must lie behind from_us")
        _check_words(self.words)
        _check_list(self.parts, "parts", _PART, f"one of {', '.join(PARTS)}", len(PARTS))
        if self.by not in (SAID, BLOCK):
            raise BadQuestion("by", f"must be {SAID} or {BLOCK}")
        if type(self.is_valid) is not bool:
            raise BadQuestion("is_valid", "must be true or false")
        if type(self.limit) is not int or not 1 <= self.limit <= MAX_LIMIT:
            raise BadQuestion("limit", f"must be a whole number from 1 to {MAX_LIMIT}")
        if self.bookmark is not None and not (type(self.bookmark) is str and _BOOKMARK.fullmatch(self.bookmark)):
            raise BadQuestion("bookmark", "must be that of the page before")

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the members that say something, in their order."""
        told = ((field.name, getattr(self, field.name)) for field in fields(self))
        said = ((name, value) for name, value in told if value != _DEFAULTS[name])
        return {name: list(value) if isinstance(value, tuple) else value for name, value in said}

    @classmethod
    def from_dict(cls, value: Any) -> Question:
        """Read the JSON form; :class:`BadQuestion` for anything else."""
        if not isinstance(value, dict):
            raise BadQuestion("question", "must be an object")
        known = {field.name for field in fields(cls)}
        for name in value:
            if name not in known:
                raise BadQuestion(f"{name:.40}", "there is no such member")
        return cls(**{name: _from_json(item, name) for name, item in value.items()})

    def text(self, purpose: str) -> str:
        """What stands on the ledger: the JSON text of {kind, question}. :class:`BadQuestion` where it is too long."""
        text = jsontext.dumps({"kind": purpose, "question": self.to_dict()}).decode()
        if len(text) > MAX_TEXT:
            raise BadQuestion(
                "question", f"its text has {len(text)} characters, at most {MAX_TEXT} stand on the ledger"
            )
        return text


@dataclass(frozen=True, slots=True)
class Scope:
    """What a case may be asked: its channels and its time; and devices, operators, kinds where it names them.

    A row is in the scope if its channel is, the time it tells or its block's is, and its device, operator and kind are
    among those named. A row that names no device is not kept out by the devices that a scope names.
    """

    channels: tuple[str, ...]
    from_us: int
    to_us: int
    devices: tuple[str, ...] | None
    operators: tuple[str, ...] | None
    kinds: tuple[str, ...] | None

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Scope:
        """As GetCase answers it."""
        scope = record["scope"]
        named = {
            name: None if scope[name] is None else tuple(scope[name]) for name in ("devices", "operators", "kinds")
        }
        return cls(tuple(scope["channels"]), int(scope["from_us"]), int(scope["to_us"]), **named)

    def check(self, question: Question) -> None:
        """Raise :class:`OutOfScope` where the question names what the scope has not."""
        for member in ("channels", "devices", "operators", "kinds"):
            wanted, allowed = getattr(question, member), getattr(self, member)
            beyond = [] if allowed is None else [name for name in wanted or () if name not in allowed]
            if beyond:
                raise OutOfScope(member, f"{', '.join(beyond)} is not in the case's scope: {', '.join(allowed)}")
        if question.from_us is not None and not self.from_us <= question.from_us < self.to_us:
            raise OutOfScope("from_us", f"the case's scope begins at {self.from_us} and ends at {self.to_us}")
        if question.to_us is not None and not self.from_us < question.to_us <= self.to_us:
            raise OutOfScope("to_us", f"the case's scope begins at {self.from_us} and ends at {self.to_us}")

    @property
    def bounds(self) -> tuple[int, int]:
        """From when to when."""
        return self.from_us, self.to_us


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text as questions have them: each begins where letters, digits, ``-`` and ``_`` begin."""
    found = []
    for part in text.split():
        pieces = _WORD.findall(part)
        found += [piece + "*" if part.endswith("*") and piece is pieces[-1] else piece for piece in pieces]
    return tuple(found)


def names_of(names: Iterable[str] | None) -> tuple[str, ...] | None:
    """Names as questions have them: each once, sorted; None where there is none."""
    return tuple(sorted(set(names))) or None if names is not None else None


def _from_json(value: Any, name: str) -> Any:
    if name not in (*_LISTS, "transactions", "words", "parts"):
        return value
    if not isinstance(value, list) or not value:
        raise BadQuestion(name, "must be a list with one item at least, or be left out")
    return tuple(value)


def _check_names(names: tuple[str, ...] | None, member: str) -> None:
    _check_list(names, member, _NAME, "a name (A-Z a-z 0-9 . _ -, 64 at most)", MAX_LISTED)


def _check_list(values: tuple[str, ...] | None, member: str, pattern: re.Pattern[str], what: str, most: int) -> None:
    if values is None:
        return
    if not isinstance(values, tuple) or not 1 <= len(values) <= most:
        raise BadQuestion(member, f"must have 1 to {most} items")
    for value in values:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise BadQuestion(member, f"{value!r:.80} is not {what}")
    if list(values) != sorted(set(values)):
        raise BadQuestion(member, "must be sorted, each once")


def _check_words(words: tuple[str, ...]) -> None:
    if not isinstance(words, tuple) or len(words) > MAX_WORDS:
        raise BadQuestion("words", f"must have at most {MAX_WORDS} items")
    for word in words:
        if not isinstance(word, str) or len(word) > MAX_LISTED or not _WORD.fullmatch(word.removesuffix("*")):
            raise BadQuestion("words", f"{word!r:.80} is no word of letters, digits, - and _, {MAX_LISTED} at most")


def purpose_of(value: Any) -> str:
    """One of :data:`PURPOSES`; :class:`BadQuestion` for anything else."""
    if not isinstance(value, str) or value not in PURPOSES:
        raise BadQuestion("kind", f"must be one of {', '.join(PURPOSES)}")
    return value


_DEFAULTS: Final[Mapping[str, Any]] = {field.name: field.default for field in fields(Question)}
