"""The case desk as an investigator asks it: first Query on the ledger, signed by the investigator, then the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from gridledger import jsontext
from gridledger.client import Retry
from gridledger.client.application import Answer
from gridledger.client.profile import read_roots
from gridledger.errors import UnavailableError
from gridledger.evidence.assembling import disclosed_of
from gridledger.evidence.package import read_package
from gridledger.protocol.fields import object_of
from gridledger.transport.node_client import ConnectionFailed, NodeClient, path_of
from services.console.applications import Place
from services.console.cases.questions import PACKAGE, TIMELINE, text_of
from services.console.viewers import Viewers

ROLE: Final = "forensics.role"
INVESTIGATOR: Final = "investigator"
_ROWS_S: Final = 90.0
_PACKAGE_S: Final = 600.0
_AGAIN: Final = Retry(attempts=8, total_s=20.0)
"""A transaction that lost to a concurrent one had no effect, and may be made anew."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A package, and what stands on the ledger of it: the ids of Query and RecordFinding."""

    data: bytes
    sha256: str
    query: str
    finding: str


def investigator_on(viewers: Viewers, place: Place) -> Place:
    """The contract of cases as the first identity that is an investigator, else as whom the channel is shown."""
    for viewer in viewers.all:
        is_one = viewer.identity.certificate.attributes.get(ROLE) == INVESTIGATOR
        if is_one and viewer.ended is None and place.channel in viewer.configs:
            return Place(place.channel, place.chaincode, viewer)
    return place


class Desk:
    """The desk at ``url``, asked as ``place``'s viewer. ``roots`` are the root certificates (PEM) to trust."""

    def __init__(self, place: Place, url: str, roots: str) -> None:
        self._place = place
        self._url = url
        self._roots = roots

    @classmethod
    def at(cls, viewers: Viewers, place: Place, url: str) -> Desk:
        """The desk of a network."""
        return cls(investigator_on(viewers, place), url, read_roots(viewers.profile.roots))

    async def rows(self, case: str, question: Mapping[str, Any]) -> Answer:
        """A page of rows: ``query`` (the transaction of the Query), ``rows``, ``bookmark``, ``left_out``."""
        query = await self._query(case, TIMELINE, question)
        body = {"query": query, "kind": TIMELINE, "question": dict(question)}
        return object_of(jsontext.loads(await self._post(case, "rows", body, _ROWS_S)), "the desk's answer")

    async def package(self, case: str, question: Mapping[str, Any], title: str, *, disclose: bool) -> Packed:
        """The package of such a page. Its SHA-256 and what it discloses are a finding on the ledger before it is
        handed out."""
        query = await self._query(case, PACKAGE, question)
        body = {"query": query, "question": dict(question), "disclose": disclose}
        data = await self._post(case, "package", body, _PACKAGE_S)
        disclosed = await asyncio.to_thread(lambda: disclosed_of(read_package(data)))
        digest = sha256(data).hexdigest()
        finding = {"case": case, "package_sha256": digest, "title": title, "disclosed": disclosed}
        recorded = await self._submit("RecordFinding", finding)
        return Packed(data, digest, query, str(recorded["tx"]))

    async def _query(self, case: str, kind: str, question: Mapping[str, Any]) -> str:
        return str((await self._submit("Query", {"case": case, "text": text_of(kind, question)}))["tx"])

    async def _submit(self, function: str, argument: dict[str, Any]) -> Answer:
        network = self._place.viewer.network(self._place.channel)
        contract = network.get_contract(self._place.chaincode)
        answer: Answer = await contract.submit_transaction(function, argument, retry=_AGAIN)
        return answer

    async def _post(self, case: str, what: str, body: dict[str, Any], timeout_s: float) -> bytes:
        async with NodeClient(self._url, self._place.viewer.identity, self._roots) as client:
            try:
                return await client.post(path_of("cases", case, what), jsontext.dumps(body), timeout_s=timeout_s)
            except ConnectionFailed as error:
                raise UnavailableError(
                    f"the case desk at {self._url} does not answer: {error.message}", code=error.code
                ) from None
