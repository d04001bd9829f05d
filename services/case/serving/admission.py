"""The check before each read: a Query of the caller's, valid on the ledger, in a case whose scope covers it.

Whoever reads takes an :class:`Admitted`, and only :meth:`Admission.admit` can make one. So there is no way to a row
that does not lead through here (``tests/unit/case/serving/test_admission.py`` looks at the code for another).
"""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final

from gridledger.errors import GridLedgerError, NotFoundError, PermissionDeniedError, TimeoutExceeded
from gridledger.identity.msp import Identity
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.transaction import Transaction
from services.case.attributes import INVESTIGATOR, ROLE
from services.case.errors import CaseNotInForce, QueryNotValid, QueryUsed
from services.case.questions import Question, Scope
from services.case.serving.own_peer import CaseBook
from services.case.serving.used import UsedQueries

APPROVED: Final = "approved"
REFUSED: Final = "CHAINCODE_REFUSED"
_S: Final = 1_000_000

_log = logging.getLogger(__name__)


class _Seal:
    """What only this module has."""


_SEAL: Final = _Seal()


class Admitted:
    """A question that may be answered, once: its Query stands on the ledger. Only :class:`Admission` makes one."""

    __slots__ = ("case", "purpose", "query", "question", "scope")

    def __init__(self, seal: _Seal, *, case: str, purpose: str, question: Question, scope: Scope, query: str) -> None:
        if seal is not _SEAL:
            raise TypeError("a question is admitted by the ledger alone")
        self.case = case
        self.purpose = purpose
        self.question = question
        self.scope = scope
        self.query = query


class Admission:
    """Admits questions. ``now_us`` is the desk's clock, ``wait_s`` how long its peer may take to have the Query,
    ``age_s`` how old a Query may be."""

    def __init__(
        self, book: CaseBook, used: UsedQueries, now_us: Callable[[], int], *, wait_s: float, age_s: float
    ) -> None:
        self._book = book
        self._used = used
        self._now_us = now_us
        self._wait_s = wait_s
        self._age_s = age_s

    async def admit(self, caller: Identity, case: str, purpose: str, question: Question, query: str) -> Admitted:
        """Admit a question that ``caller`` asks for ``purpose`` in ``case``, by the Query with the id ``query``.

        Raises PermissionDeniedError for whoever is no investigator, :class:`QueryNotValid`, :class:`CaseNotInForce`,
        :class:`OutOfScope`, and :class:`QueryUsed`.
        """
        if caller.attributes.get(ROLE) != INVESTIGATOR:
            raise PermissionDeniedError(f"rows are read for investigators: a certificate with {ROLE}={INVESTIGATOR}")
        asked_us = await self._check_query(caller, case, question.text(purpose), query)
        scope = await self._scope_of(case)
        scope.check(question)
        # Last, as whatever is refused before may be asked again with the same Query.
        if not self._used.take(query, asked_us, self._now_us() - int(self._age_s * _S)):
            raise QueryUsed(f"the Query {query} was answered before: each is good for one answer", query=query)
        _log.info(
            "answered by a Query",
            extra={"case": case, "purpose": purpose, "query": query, "by": caller.name, "mspid": caller.mspid},
        )
        return Admitted(_SEAL, case=case, purpose=purpose, question=question, scope=scope, query=query)

    async def _check_query(self, caller: Identity, case: str, text: str, query: str) -> int:
        """The time of the Query's block; :class:`QueryNotValid` where it is not what allows this."""
        try:
            status = await self._book.status(query, self._wait_s)
            if status.code != TxValidationCode.VALID:
                raise QueryNotValid(f"the transaction {query} is not valid: {status.code.name}", query=query)
            found = await self._book.transaction(query)
        except (NotFoundError, TimeoutExceeded) as error:
            raise QueryNotValid(
                f"the desk's peer has no transaction {query}: submit Query to the contract of cases first "
                f"({error.message})",
                query=query,
            ) from None
        proposal = _proposal_of(found.envelope, query)
        if found.code != TxValidationCode.VALID or proposal.tx_id != query:
            raise QueryNotValid(f"the transaction {query} is not valid: {found.code.name}", query=query)
        wrong = self._wrong_in(proposal, caller, {"case": case, "text": text})
        if wrong:
            raise QueryNotValid(f"the transaction {query} does not allow this: {wrong}", query=query)
        age_us = self._now_us() - found.header.timestamp_us
        if age_us > self._age_s * _S:
            raise QueryNotValid(
                f"the Query {query} is {age_us // _S} s old, and is good for {self._age_s:g} s: make another",
                query=query,
            )
        return found.header.timestamp_us

    def _wrong_in(self, proposal: Proposal, caller: Identity, argument: dict[str, Any]) -> str:
        """What keeps a transaction from being this caller's Query for this; empty where nothing does."""
        place = (proposal.channel, proposal.chaincode, proposal.function)
        if place != (self._book.channel, self._book.chaincode, "Query"):
            return f"it is no Query of {self._book.chaincode} on {self._book.channel}"
        if proposal.creator != b64encode(caller.certificate.der).decode("ascii"):
            return "another certificate submitted it"
        if len(proposal.args) != 1 or proposal.args[0] != argument:
            return "its case or its text is not that of the question; the text is the one of the question as it is read"
        return ""

    async def _scope_of(self, case: str) -> Scope:
        try:
            record = await self._book.case(case)
        except GridLedgerError as error:
            if error.code != REFUSED:
                raise
            raise CaseNotInForce(error.message, case=case) from None
        if record["status"] != APPROVED:
            raise CaseNotInForce(f"the case {case} is {record['status']}: only approved cases are read for", case=case)
        return Scope.of(record)


def _proposal_of(envelope: bytes, query: str) -> Proposal:
    try:
        return Transaction.parse(envelope).proposal
    except GridLedgerError:
        raise QueryNotValid(f"the transaction {query} cannot be read", query=query) from None
