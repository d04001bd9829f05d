"""Reading for investigators: the only module that asks the index for rows, or the peer for their blocks.

Each function takes an :class:`~services.case.serving.admission.Admitted`: what is read is its question, in its scope.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import Counter
from typing import Any, Final

from gridledger.errors import LimitError, NotFoundError, TimeoutExceeded
from gridledger.evidence.package import Package, Place, write_package
from services.case.collecting import Collector
from services.case.errors import BadQuestion, Discloses
from services.case.off_chain import LightNodes, with_parts
from services.case.serving.admission import Admitted
from services.case.serving.index import Index
from services.case.serving.searching import Page, search

MAX_DISCLOSED: Final = 10_000
"""Transactions that one finding can say a package discloses."""

Answer = dict[str, Any]


class Reading:
    """Reads of one desk, at most so many searches and packages at a time; ``search_s`` bounds a search."""

    def __init__(
        self,
        index: Index,
        collector: Collector,
        light_nodes: LightNodes,
        *,
        search_s: float,
        max_searches: int,
        max_packages: int,
    ) -> None:
        self._index = index
        self._collector = collector
        self._light_nodes = light_nodes
        self._search_s = search_s
        self._searches = asyncio.Semaphore(max_searches)
        self._packages = asyncio.Semaphore(max_packages)

    async def rows(self, admitted: Admitted) -> Answer:
        """{case, query, rows, bookmark, left_out, read_to}: a page. ``read_to``: how far the index has each channel of
        the scope: {channel: {height, block_us}}."""
        if admitted.question.parts is not None:
            raise BadQuestion("parts", "packages alone take parts from light nodes")
        page = await self._page(admitted)
        read_to = {
            each.channel: {"height": each.height, "block_us": each.block_us}
            for each in self._index.progress()
            if each.channel in admitted.scope.channels
        }
        return {
            "case": admitted.case,
            "query": admitted.query,
            "rows": [row.to_dict() for row in page.rows],
            "bookmark": page.bookmark,
            "left_out": None if page.left_out is None else page.left_out.to_dict(),
            "read_to": read_to,
        }

    async def package(self, admitted: Admitted, *, disclose: bool) -> bytes:
        """The package of the transactions of a page of rows, with the parts of their events that light nodes give.

        Raises :class:`Discloses` where it has others in its blocks, unless ``disclose`` allows that; NotFoundError
        where no row fits.
        """
        if not admitted.question.is_valid:
            raise BadQuestion("is_valid", "what is not valid is no evidence, and is in no package of its own")
        page = await self._page(admitted)
        if not page.rows:
            raise NotFoundError("no row of a valid transaction fits the question: there is nothing to prove")
        places = [Place(row.channel, row.block, row.position) for row in page.rows]
        about = {
            "case": admitted.case,
            "query": admitted.query,
            "question": admitted.question.to_dict(),
            "rows": len(page.rows),
            "left_out": None if page.left_out is None else page.left_out.to_dict(),
        }
        async with self._packages:
            package = await self._collector.collect(places, about)
            _check_disclosed(package, disclose=disclose)
            if admitted.question.parts is not None:
                package = await with_parts(package, page.rows, admitted.question, admitted.scope, self._light_nodes)
            return await asyncio.to_thread(write_package, package)

    async def _page(self, admitted: Admitted) -> Page:
        async with self._searches:
            return await asyncio.to_thread(self._search, admitted)

    def _search(self, admitted: Admitted) -> Page:
        connection = self._index.reader()
        timer = threading.Timer(self._search_s, connection.interrupt)
        timer.start()
        try:
            return search(connection, self._index.channels, admitted.question, admitted.scope)
        except sqlite3.OperationalError as error:
            if "interrupt" not in str(error):
                raise
            raise TimeoutExceeded(
                f"the search took longer than {self._search_s:g} s: name devices, kinds or a shorter time"
            ) from None
        finally:
            timer.cancel()


def _check_disclosed(package: Package, *, disclose: bool) -> None:
    counted = dict(Counter(place.channel for place in package.disclosed()))
    total = sum(counted.values())
    if total > MAX_DISCLOSED:
        raise LimitError(
            f"the package would disclose {total} further transactions, and {MAX_DISCLOSED} is the most: make several"
        )
    if total and not disclose:
        told = ", ".join(f"{count} on {channel}" for channel, count in sorted(counted.items()))
        raise Discloses(
            f"the package would disclose {total} transactions besides, as blocks are proved whole ({told}): allow it "
            "with --disclose",
            disclosed=counted,
        )
