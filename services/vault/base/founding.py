"""How the base comes to the ledger: its record has the key that dealers seal to, and where it is reached."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from random import Random
from typing import Final

from gridledger.backoff import Backoff
from gridledger.errors import GridLedgerError
from services.vault.key_file import kem_key
from services.vault.ledger import VaultLedger
from services.vault.session import refused
from services.vault.transport import Kem, PrivateKey

KEY_FILE: Final = "kem_key"
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 15.0

_log = logging.getLogger(__name__)


def base_key(folder: Path, kem: Kem) -> PrivateKey:
    """The base's key in its folder; made where there is none. Without it no audit of an object can be asked for.

    Raises :class:`CorruptionError` where what is there is no key.
    """
    return kem_key(folder / KEY_FILE, kem)


async def tell_ledger(ledger: VaultLedger, key: PrivateKey, url: str, random: Random) -> None:
    """Have the base's record on the ledger, once the ledger can be reached."""
    backoff, said = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, random), ""
    while True:
        try:
            if await _is_told(ledger, key, url):
                return
            await ledger.set_base(key.public.text, url)
        except GridLedgerError as error:
            if error.message != said:
                said = error.message
                _log.warning("the ledger does not have the base's record yet: %s", said)
        else:
            _log.info("the ledger has the base's key, and its address %s", url)
            return
        await asyncio.sleep(backoff.failed())


async def _is_told(ledger: VaultLedger, key: PrivateKey, url: str) -> bool:
    try:
        known = await ledger.get_base()
    except GridLedgerError as error:
        if refused(error):
            return False
        raise
    return (known.get("kem_key"), known.get("url")) == (key.public.text, url)
