"""The organisations' agents: with which key each signs what it says, and where other agents ask it.

The key is that of the certificate under which an agent puts itself on record. So nobody registers another's key, and an
agent that has enrolled anew replaces its key by putting itself on record anew: what the old key signed is refused then.
"""

from __future__ import annotations

import re
from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub, crypto
from gridledger.contract.arguments import members, refuse, shown

from . import keys
from .membership import AGENT, REGISTRAR, ROLE, Record

_MAX_URL: Final = 256
_URL: Final = re.compile(r"https://[A-Za-z0-9.\-\[\]:]{1,253}")
_REST_US: Final = 60 * 1_000_000
"""A record stays so long before its agent may change it: transactions with its signatures have read it."""


def set_agent(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """SetAgent({url}): {mspid, url, key, time_us}; ``url`` null takes the record back, which the registrar may too."""
    members(argument, "", ("url",))
    url, now_us, mspid = argument["url"], stub.get_tx_timestamp(), caller.get_mspid()
    if url is None:
        if caller.get_attribute_value(ROLE) not in (AGENT, REGISTRAR):
            refuse("caller", f"an agent is taken back with a certificate that has {ROLE} = {AGENT} or {REGISTRAR}")
        key = None
    else:
        caller.assert_attribute_value(ROLE, AGENT)
        if type(url) is not str or len(url) > _MAX_URL or not _URL.fullmatch(url):
            refuse("url", f"must be an address such as https://host:5350, not {shown(url)}")
        key = crypto.public_key_of(caller.certificate)
    before: Record | None = stub.get_state(keys.agent(mspid))
    if url is not None and before is not None and now_us - before["time_us"] < _REST_US:
        refuse("caller", f"the agent of {mspid} was put on record less than a minute ago; it stays so that long")
    record = {"mspid": mspid, "url": url, "key": key, "time_us": now_us}
    stub.put_state(keys.agent(mspid), record)
    stub.set_event("AgentSet", record)
    return record
