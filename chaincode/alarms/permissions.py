"""Who may do what: the attributes in the caller's certificate. Whoever reads the channel may read all.

Any CA of the channel can issue any attribute, so an acknowledgement says of which organisation whoever made it is. What
a group's alarms are is for ``dvs`` to say: nobody hides one by this contract, an alarm that is shelved still stands.
"""

from __future__ import annotations

from typing import Final

from gridledger.contract import ClientIdentity
from gridledger.contract.arguments import refuse

from .arguments import Record

ROLE: Final = "alarms.role"
OPERATOR: Final = "operator"
GROUPS: Final = "alarms.groups"
"""The groups that an operator works on, "1" or "1,3"; all of them where the certificate has no such attribute."""


def require_operator(caller: ClientIdentity, group: str) -> None:
    """Refuse a caller that is no operator of a group. One of any component is one of the merged group."""
    if caller.get_attribute_value(ROLE) != OPERATOR:
        refuse("caller", f"its certificate must have {ROLE} = {OPERATOR}")
    named = caller.get_attribute_value(GROUPS)
    if named is not None and not {part.strip(" ") for part in named.split(",")} & set(group.split("_")):
        refuse("caller", f"its certificate has {GROUPS} = {named}, which does not name group {group}")


def identity_of(caller: ClientIdentity) -> Record:
    """How the ledger names a caller: {mspid, id}. The id stays when the certificate is renewed."""
    return {"mspid": caller.get_mspid(), "id": caller.get_id()}
