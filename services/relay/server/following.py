"""Which of the ledger's relays a server follows: those of operators that it trusts, whose records name it.

Any member of the channel may have an operator, and a record says which address its servers call. So a server follows
the records of the operators that its settings name, a bounded number of each. A relay that is followed keeps its place.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

MAX_RELAYS: Final = 50
"""Relays of one operator."""
_UNTRUSTED: Final = "not among this server's operators"
_TOO_MANY: Final = f"more than {MAX_RELAYS} relays of this operator"

_log = logging.getLogger(__name__)


class Following:
    """The relays that ``server`` of ``mspid`` follows, as the ledger's list of records tells, page by page.

    ``was_followed`` tells whether an earlier life of the server followed a relay: such a one comes before others.
    """

    def __init__(
        self, server: str, mspid: str, operators: Iterable[str], was_followed: Callable[[str], bool] = lambda _: False
    ) -> None:
        self._entry = {"id": server, "mspid": mspid}
        self._operators = frozenset(operators)
        self._was_followed = was_followed
        self._records: dict[str, dict[str, Any]] = {}
        self._new: dict[str, list[dict[str, Any]]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._told: set[tuple[str, str]] = set()
        self.passed_over: list[dict[str, Any]] = []
        """Records that name this server and are not followed: {operator, relays, why}, as of the last whole list."""

    @property
    def records(self) -> Mapping[str, dict[str, Any]]:
        """The records of the relays that are followed, by id."""
        return self._records

    def take(self, page: Iterable[dict[str, Any]], *, is_last: bool) -> None:
        """Take a page of the list. Relays that are new get their places at the end of the list."""
        for record in page:
            self._look_at(record)
        if is_last:
            for record in (record for records in self._new.values() for record in records):
                self._admit(record)
            self.passed_over = [
                {"operator": operator, "relays": count, "why": why} for (operator, why), count in self._counts.items()
            ]
            self._new.clear()
            self._counts.clear()

    def _look_at(self, record: dict[str, Any]) -> None:
        relay, operator = record["relay"], record["operator_msp"]
        if self._entry not in record["servers"]:
            self._records.pop(relay, None)
        elif operator not in self._operators:
            self._pass_over(record, _UNTRUSTED)
        elif relay in self._records:
            self._records[relay] = record
        elif self._was_followed(relay):
            self._admit(record)
        elif len(new := self._new.setdefault(operator, [])) < MAX_RELAYS:
            new.append(record)
        else:
            self._pass_over(record, _TOO_MANY)

    def _admit(self, record: dict[str, Any]) -> None:
        operator = record["operator_msp"]
        if sum(1 for other in self._records.values() if other["operator_msp"] == operator) < MAX_RELAYS:
            self._records[record["relay"]] = record
        else:
            self._pass_over(record, _TOO_MANY)

    def _pass_over(self, record: Mapping[str, Any], why: str) -> None:
        operator = record["operator_msp"]
        self._counts[operator, why] += 1
        if (operator, why) in self._told:
            return
        self._told.add((operator, why))
        advice = "; to follow its relays, add it to the setting operators" if why == _UNTRUSTED else ""
        _log.warning(
            "a relay whose record names this server is not followed%s",
            advice,
            extra={"relay": record["relay"], "operator": operator, "why": why},
        )
