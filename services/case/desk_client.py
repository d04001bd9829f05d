"""The case desk as an investigator asks it: first Query on the ledger, with the investigator's own certificate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from gridledger import jsontext
from gridledger.client.profile import ConnectionProfile, read_roots
from gridledger.errors import NotFoundError, UnavailableError
from gridledger.identity.signer import SigningIdentity
from gridledger.network.descriptions import network_now
from gridledger.network.folder import NetworkFolder
from gridledger.protocol.fields import list_of, object_of, value_of
from gridledger.transport.node_client import ConnectionFailed, NodeClient, path_of
from services.case.ledger import CasesLedger, cases_ledger
from services.case.questions import MAX_LIMIT, PACKAGE, Question
from services.case.rows import Row

KIND: Final = "case-desk"
"""The kind of the companion."""
ROWS_S: Final = 90.0
PACKAGE_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class RowsPage:
    """A page of rows. ``query``: the transaction of its Query. ``left_out`` (with the first page alone) and ``read_to``
    are as the desk answers them."""

    query: str
    rows: list[Row]
    bookmark: str | None
    left_out: dict[str, Any] | None
    read_to: dict[str, Any]


class Desk:
    """The desk, as one investigator asks it. Use it in one event loop."""

    def __init__(self, ledger: CasesLedger, client: NodeClient) -> None:
        self._ledger = ledger
        self._client = client

    async def rows(self, case: str, purpose: str, question: Question) -> RowsPage:
        """Submit Query, then ask: one page of rows."""
        query = await self._query(case, purpose, question)
        body = {"query": query, "kind": purpose, "question": question.to_dict()}
        answer = object_of(jsontext.loads(await self._post(case, "rows", body, ROWS_S)), "the desk's answer")
        bookmark, left_out = value_of(answer, "bookmark"), value_of(answer, "left_out")
        return RowsPage(
            query=query,
            rows=[Row.from_dict(item) for item in list_of(answer, "rows", max_length=MAX_LIMIT)],
            bookmark=None if bookmark is None else str(bookmark),
            left_out=None if left_out is None else object_of(left_out, "what was left out"),
            read_to=object_of(value_of(answer, "read_to"), "how far the desk has read"),
        )

    async def pages(self, case: str, purpose: str, question: Question, most: int) -> AsyncIterator[RowsPage]:
        """Pages until there is no further row, or ``most`` were given; each has a Query of its own."""
        left = most
        while left > 0:
            page = await self.rows(case, purpose, replace(question, limit=min(left, MAX_LIMIT)))
            yield page
            left -= len(page.rows)
            if page.bookmark is None:
                return
            question = replace(question, bookmark=page.bookmark)

    async def package(self, case: str, question: Question, *, disclose: bool) -> tuple[str, bytes]:
        """Submit Query, then ask for the package of such a page; the Query's transaction, and the package."""
        query = await self._query(case, PACKAGE, question)
        body = {"query": query, "question": question.to_dict(), "disclose": disclose}
        return query, await self._post(case, "package", body, PACKAGE_S)

    async def _query(self, case: str, purpose: str, question: Question) -> str:
        record = await self._ledger.query(case, question.text(purpose))
        return str(record["tx"])

    async def _post(self, case: str, what: str, body: dict[str, Any], timeout_s: float) -> bytes:
        try:
            return await self._client.post(path_of("cases", case, what), jsontext.dumps(body), timeout_s=timeout_s)
        except ConnectionFailed as error:
            raise UnavailableError(
                f"the case desk does not answer ({error.message}): gridledger up NETWORK --with desk", code=error.code
            ) from None


def desk_url(network: Path) -> str:
    """Where the desk of a network is, by the description in its folder; NotFoundError where there is none."""
    config = network_now(NetworkFolder(network if network.is_dir() else network.parent))
    for spec in config.companions:
        if spec.kind == KIND:
            return config.url(spec)
    raise NotFoundError(f"the network {config.name} has no companion of the kind {KIND}: name the desk with --desk URL")


@asynccontextmanager
async def opened_desk(
    profile: ConnectionProfile, identity: SigningIdentity, url: str
) -> AsyncIterator[tuple[Desk, CasesLedger]]:
    """The desk at ``url`` and the contract of cases, as ``identity`` asks them; open in the block."""
    client = NodeClient(url, identity, read_roots(profile.roots))
    try:
        async with cases_ledger(profile, identity) as ledger:
            yield Desk(ledger, client), ledger
    finally:
        await client.close()
