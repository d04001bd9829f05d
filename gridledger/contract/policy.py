"""Policies over one caller: its MSP, its role, and the attributes in its certificate.

    policy    = OutOf(n, item, ...) | AND(item, ...) | OR(item, ...) | MAJORITY(item, ...) | any.ROLE | principal
    item      = policy
    principal = 'MSPID.ROLE'  |  'MSPID.ROLE[NAME=VALUE, ...]'        ROLE = member | client | peer | orderer | admin

The grammar is that of a channel's policies (:mod:`gridledger.identity.policy`), with attributes. A channel's policy
counts signatures, each for one principal; here there is one caller, and each principal is a condition that it meets or
not: ``AND`` asks for all of them, ``OutOf`` for so many, ``MAJORITY`` for more than half. ``member`` is any role,
``any.ROLE`` any MSP. ``all`` is refused: a contract does not know the channel's organisations.

Any CA of the channel can put any attribute into a certificate, so attributes stand behind the MSP that vouches for
them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gridledger.contract.context import ClientIdentity
from gridledger.contract.errors import ContractError
from gridledger.identity.errors import MalformedPolicy
from gridledger.identity.policy_text import (
    MAX_DEPTH,
    MAX_PRINCIPALS,
    MAX_TEXT_CHARS,
    PRINCIPAL_ROLES,
    Gate,
    Node,
    PolicyParser,
    Principal,
    Token,
)

__all__ = ["MAX_DEPTH", "MAX_PRINCIPALS", "MAX_TEXT_CHARS", "CallerPolicy", "parse"]

MAX_ATTRIBUTES: Final = 8
"""Attributes that one principal may ask for."""

_ANY: Final = "*"
_PRINCIPAL: Final = re.compile(
    r"(?P<mspid>[A-Za-z0-9.-]{1,128})\.(?P<role>member|client|peer|orderer|admin)(?:\[(?P<attributes>[^\[\]]*)\])?"
)
_ATTRIBUTE: Final = re.compile(r" *(?P<name>[A-Za-z0-9._-]{1,64}) *= *(?P<value>[A-Za-z0-9._:/@+-]{1,128}) *")


@dataclass(frozen=True, slots=True)
class _Condition(Principal):
    """A principal with the attributes that its certificate must have; the MSP ``*`` is any."""

    attributes: tuple[tuple[str, str], ...] = ()

    def met_by(self, caller: ClientIdentity) -> bool:
        return (
            self.mspid in (_ANY, caller.get_mspid())
            and self.role in ("member", caller.role)
            and all(caller.get_attribute_value(name) == value for name, value in self.attributes)
        )


@dataclass(frozen=True, slots=True)
class CallerPolicy:
    """A policy that was read; ``text`` is what it was read from."""

    text: str
    _root: Node

    def allows(self, caller: ClientIdentity) -> bool:
        """Whether the caller meets it."""
        return _met(self._root, caller)


def parse(text: str) -> CallerPolicy:
    """Read a policy; :class:`ContractError` says at which character it is no policy, counted from 1.

    At most 8,192 characters, 512 principals, 8 attributes each, nested 16 deep. Cached.
    """
    try:
        return _parse(text)
    except MalformedPolicy as error:
        raise ContractError(error.message) from None


@lru_cache(maxsize=256)
def _parse(text: str) -> CallerPolicy:
    if len(text) > MAX_TEXT_CHARS:
        raise MalformedPolicy(f"a policy has at most {MAX_TEXT_CHARS} characters")
    return CallerPolicy(text, _Parser(text, ()).whole())


class _Parser(PolicyParser):
    """The channel policies' grammar with other principals."""

    def principal(self, token: Token) -> Principal:
        match = _PRINCIPAL.fullmatch(token.text[1:-1])
        if match is None:
            raise self.fault(
                f"{token.text:.80} is neither 'MSPID.ROLE' nor 'MSPID.ROLE[NAME=VALUE, ...]' with ROLE one of "
                f"{', '.join(PRINCIPAL_ROLES)}",
                token,
            )
        self.count(1, token)
        return _Condition(match["mspid"], match["role"], self._attributes(token, match["attributes"]))

    def everyone(self, token: Token, role: str) -> list[Node]:
        if token.text.lower().startswith("all"):
            raise self.fault("'all' has no meaning for one caller; name the organisations, or say any.ROLE", token)
        if role not in PRINCIPAL_ROLES:
            raise self.fault(f"{role!r:.40} is no role; take one of {', '.join(PRINCIPAL_ROLES)}", token)
        self.count(1, token)
        return [_Condition(_ANY, role)]

    def _attributes(self, token: Token, text: str | None) -> tuple[tuple[str, str], ...]:
        if text is None:
            return ()
        parts = text.split(",")
        if len(parts) > MAX_ATTRIBUTES:
            raise self.fault(f"a principal asks for at most {MAX_ATTRIBUTES} attributes", token)
        wanted: dict[str, str] = {}
        for part in parts:
            match = _ATTRIBUTE.fullmatch(part)
            if match is None:
                raise self.fault(f"{part.strip():.80} is no attribute such as vault.role=head", token)
            if match["name"] in wanted:
                raise self.fault(f"the attribute {match['name']} is asked for twice", token)
            wanted[match["name"]] = match["value"]
        return tuple(wanted.items())


def _met(node: Node, caller: ClientIdentity) -> bool:
    """No deeper than a policy is nested."""
    if isinstance(node, Gate):
        return len([child for child in node.children if _met(child, caller)]) >= node.needed
    return isinstance(node, _Condition) and node.met_by(caller)
