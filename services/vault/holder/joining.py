"""How a holder comes to the ledger: it asks to join where it is not known, or not with its present keys or address."""

from __future__ import annotations

import asyncio
import logging
from random import Random
from typing import Any, Final

from gridledger.backoff import Backoff
from gridledger.errors import GridLedgerError
from services.vault.attributes import CLUSTER, ID
from services.vault.holder.own import Own, is_refused
from services.vault.records import public_key_pem

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 5.0

_log = logging.getLogger(__name__)


async def join_if_new(own: Own, url: str, random: Random) -> None:
    """Ask to join until the ledger has this holder with its keys and its address, or has revoked it.

    Cluster and id are those of its certificate. A network whose clusters are not set yet refuses: it is asked again.
    """
    backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, random)
    said = ""
    while True:
        try:
            if not await _is_known(own, url):
                await _join(own, url)
        except GridLedgerError as error:
            if error.message != said:
                said = error.message
                _log.warning("%s cannot join the vault yet: %s", own.name, said)
        else:
            return
        await asyncio.sleep(backoff.failed())


async def _is_known(own: Own, url: str) -> bool:
    try:
        answer = await own.ledger.get_holder(own.name)
    except GridLedgerError as error:
        if is_refused(error):
            return False
        raise
    if answer.get("revoked"):
        _log.error("%s was revoked: it takes and serves nothing; join under another name", own.name)
        return True
    waiting, record = answer.get("join"), answer.get("record")
    return any(_is_same(own, url, known) for known in (waiting, record) if known)


def _is_same(own: Own, url: str, known: dict[str, Any]) -> bool:
    keys = known.get("public_keys") or [known]
    return (known["url"], known["kem_key"], keys[0]["public_key"].strip()) == (
        url,
        own.key.public.text,
        public_key_pem(own.identity.certificate).strip(),
    )


async def _join(own: Own, url: str) -> None:
    attributes = own.identity.certificate.attributes
    await own.ledger.join(own.name, attributes[CLUSTER], attributes[ID], own.key.public.text, url)
    _log.info("%s asked to join %s", own.name, attributes[CLUSTER])
