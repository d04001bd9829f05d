"""Errors of the case desk, and of those who ask it."""

from __future__ import annotations

from gridledger.errors import ConflictError, CorruptionError, InputError, PermissionDeniedError


class BadQuestion(InputError):
    """A question to the rows of a case is not one. The message begins with the member that is wrong."""

    code = "BAD_QUESTION"

    def __init__(self, member: str, told: str) -> None:
        super().__init__(f"{member}: {told}", member=member)


class OutOfScope(PermissionDeniedError):
    """The case's scope does not cover the question. The message begins with the member that goes beyond it."""

    code = "OUT_OF_SCOPE"

    def __init__(self, member: str, told: str) -> None:
        super().__init__(f"{member}: {told}", member=member)


class CaseNotInForce(PermissionDeniedError):
    """The case is not approved, or is closed: nothing is read for it."""

    code = "CASE_NOT_IN_FORCE"


class QueryNotValid(PermissionDeniedError):
    """No valid Query of this caller stands on the ledger for what is asked: nothing is read without one."""

    code = "QUERY_NOT_VALID"


class QueryUsed(ConflictError):
    """The Query was answered before: each is good for one answer."""

    code = "QUERY_USED"


class IndexMisfit(CorruptionError):
    """The desk's index does not fit the peer's chain: it is made anew."""

    code = "INDEX_MISFIT"


class Discloses(ConflictError):
    """A package would disclose transactions that were not asked for. ``details.disclosed``: how many, by channel."""

    code = "PACKAGE_DISCLOSES"
