"""Deny: somebody was not let in at a terminal."""

from __future__ import annotations

from typing import Any

from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.arguments import members, name, text

from . import keys
from .arguments import MAX_REMARK
from .permissions import Record, identity_of, require_denier


def deny(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """Deny({operator, terminal, why}): the record, with by, time_us, tx. ``operator`` is who was claimed to ask."""
    members(argument, "", ("operator", "terminal", "why"))
    require_denier(caller)
    denied: Record = {
        "operator": name(argument["operator"], "operator"),
        "terminal": name(argument["terminal"], "terminal"),
        "why": text(argument["why"], "why", MAX_REMARK),
        "by": identity_of(caller),
        "time_us": stub.get_tx_timestamp(),
        "tx": stub.get_tx_id(),
    }
    stub.put_state(keys.denial(denied["time_us"], denied["tx"]), denied)
    stub.set_event("AccessDenied", denied)
    return denied
