"""The text of a policy, read into a tree. The grammar stands in :mod:`gridledger.identity.policy`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gridledger.identity.errors import MalformedPolicy

PRINCIPAL_ROLES: Final = ("member", "client", "peer", "orderer", "admin")

MAX_TEXT_CHARS = 8192
MAX_DEPTH = 16
MAX_PRINCIPALS = 512

_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>'[^']*'|"[^"]*")|(?P<number>\d{1,4}\b)|(?P<word>[A-Za-z][\w.]*)|(?P<mark>[(),]))""",
    re.ASCII,  # what is a digit or a letter beyond ASCII differs between versions of Python
)
_IMPLICIT_META = re.compile(r"(ANY|ALL|MAJORITY) (Readers|Writers|Admins|Endorsement)")
_PRINCIPAL = re.compile(r"([A-Za-z0-9.-]{1,128})\.(member|client|peer|orderer|admin)")


@dataclass(frozen=True, slots=True)
class Principal:
    """One signature of a member of ``mspid`` in ``role`` (``member``: in any)."""

    mspid: str
    role: str


@dataclass(frozen=True, slots=True)
class Gate:
    """``needed`` of the children. ``apart``: each child is judged by itself, by all identities, those included that
    another child has counted; else an identity counts once in the whole tree."""

    needed: int
    children: tuple[Node, ...]
    apart: bool = False


Node = Principal | Gate


def parse_policy(text: str, all_orgs: Sequence[str]) -> Node:
    """The tree of ``text``, ``all`` expanded over ``all_orgs``; :class:`MalformedPolicy` names the place."""
    if len(text) > MAX_TEXT_CHARS:
        raise MalformedPolicy(f"a policy has at most {MAX_TEXT_CHARS} characters")
    return PolicyParser(text, all_orgs).whole()


@dataclass(frozen=True, slots=True)
class ImplicitMeta:
    """A policy that counts other policies: ``rule`` (ANY, ALL, MAJORITY) of those that are called ``policy``."""

    rule: str
    policy: str

    @classmethod
    def read(cls, text: str) -> ImplicitMeta | None:
        """What ``text`` says, in Fabric's spelling; None where it is a signature policy."""
        match = _IMPLICIT_META.fullmatch(text)
        return None if match is None else cls(match[1], match[2])

    def over(self, parts: Sequence[Node]) -> Gate:
        """The tree over the trees of the policies that it counts. Of none it can never be met: to Fabric it always is,
        which would make the last organisation's removal open a channel to everybody."""
        needed = {"ANY": 1, "ALL": max(1, len(parts)), "MAJORITY": len(parts) // 2 + 1}[self.rule]
        return Gate(needed, tuple(parts), apart=True)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a policy's text. ``kind``: quoted, number, word, mark, or end; ``position`` counts from 0."""

    kind: str
    text: str
    position: int


class PolicyParser:
    """Recursive descent; one token of look-ahead. A subclass may read other principals: those of
    :mod:`gridledger.contract.policy` have attributes."""

    def __init__(self, text: str, all_orgs: Sequence[str]) -> None:
        self._text = text
        self._all_orgs = all_orgs
        self._tokens = _tokens(text)
        self._next = next(self._tokens)
        self._principals = 0

    def whole(self) -> Node:
        items = self._items(0)
        if len(items) != 1:
            raise self.fault("several principals stand alone; say OutOf, AND, OR, MAJORITY or any.ROLE")
        if self._next.kind != "end":
            raise self.fault(f"{self._next.text!r} is left over after the policy")
        return items[0]

    def _take(self, text: str) -> None:
        if self._next.text != text or self._next.kind != "mark":
            raise self.fault(f"{text!r} was expected")
        self._next = next(self._tokens)

    def _items(self, depth: int) -> list[Node]:
        """What one place in a list stands for: one node, or all organisations' principals."""
        token = self._next
        self._next = next(self._tokens)
        if token.kind == "quoted":
            return [self.principal(token)]
        if token.kind != "word":
            raise self.fault("a principal such as 'Org1MSP.peer' or OutOf, AND, OR, MAJORITY was expected", token)
        name = token.text.lower()
        if name == "all" or name.startswith(("all.", "any.")):
            everyone = self.everyone(token, name.partition(".")[2] or "peer")
            return [Gate(1, tuple(everyone))] if name.startswith("any") else everyone
        if name in {"outof", "and", "or", "majority"}:
            return [self._gate(token, name, depth + 1)]
        raise self.fault(f"{token.text!r} is no policy; principals stand in quotes", token)

    def _gate(self, token: Token, name: str, depth: int) -> Gate:
        if depth > MAX_DEPTH:
            raise self.fault(f"a policy is nested at most {MAX_DEPTH} deep", token)
        self._take("(")
        needed = 0
        if name == "outof":
            number = self._next
            if number.kind != "number":
                raise self.fault("OutOf starts with a number, as in OutOf(2, 'A.peer', 'B.peer', 'C.peer')")
            needed = int(number.text)
            self._next = next(self._tokens)
            self._take(",")
        children = self._items(depth)
        while self._next.text == ",":
            self._take(",")
            children += self._items(depth)
        self._take(")")
        needed = {"and": len(children), "or": 1, "majority": len(children) // 2 + 1}.get(name, needed)
        if not 1 <= needed <= len(children):
            raise self.fault(
                f"{needed} of {len(children)} can never be met, or always; choose 1 to {len(children)}", token
            )
        return Gate(needed, tuple(children))

    def principal(self, token: Token) -> Principal:
        """What a quoted text stands for."""
        match = _PRINCIPAL.fullmatch(token.text[1:-1])
        if match is None:
            raise self.fault(f"{token.text} is not 'MSPID.ROLE' with ROLE one of {', '.join(PRINCIPAL_ROLES)}", token)
        self.count(1, token)
        return Principal(match[1], match[2])

    def everyone(self, token: Token, role: str) -> list[Node]:
        """What ``all.ROLE`` and, in a gate around it, ``any.ROLE`` stand for."""
        if role not in PRINCIPAL_ROLES:
            raise self.fault(f"{role!r} is no role; take one of {', '.join(PRINCIPAL_ROLES)}", token)
        if not self._all_orgs:
            raise self.fault("'all' stands for nobody: the channel has no organisations", token)
        self.count(len(self._all_orgs), token)
        return [Principal(mspid, role) for mspid in self._all_orgs]

    def count(self, more: int, token: Token) -> None:
        """Bound the principals of the whole text."""
        self._principals += more
        if self._principals > MAX_PRINCIPALS:
            raise self.fault(f"a policy has at most {MAX_PRINCIPALS} principals", token)

    def fault(self, what: str, token: Token | None = None) -> MalformedPolicy:
        """The error that names the place of ``token``, or of the next one."""
        position = (token or self._next).position
        return MalformedPolicy(f"policy, character {position + 1}: {what}", policy=self._text, position=position)


def _tokens(text: str) -> Iterator[Token]:
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise MalformedPolicy(f"policy, character {position + 1}: not understood", policy=text, position=position)
        yield Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup))
        position = match.end()
    while True:
        yield Token("end", "", end)
