"""What callers send to the bridge, checked as a whole."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gridledger import jsontext
from gridledger.errors import InputError

_MAX_FAULTS = 5
Number = Annotated[float, Field(allow_inf_nan=False)]
MspId = Annotated[str, Field(min_length=1, max_length=128)]


class Body(BaseModel):
    """Members that are not known are refused, so that a slip of the pen is not a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CallSettings(Body):
    """How a call is to be made: as whom, within what time (seconds), endorsed by which organisations (MSP ids)."""

    identity: str | None = None
    timeout_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = 30.0
    endorsing_organisations: Annotated[tuple[MspId, ...], Field(max_length=64)] = ()


class Call(CallSettings):
    """A function of a chaincode with its arguments, which are JSON values."""

    function: Annotated[str, Field(min_length=1, max_length=256)]
    args: Annotated[list[Any], Field(max_length=64)] = []
    transient: dict[str, Any] | None = None


_Body = TypeVar("_Body", bound=Body)


def read(kind: type[_Body], text: bytes) -> _Body:
    """A body of this kind; :class:`InputError` names each member that is wrong."""
    try:
        return kind.model_validate(jsontext.loads(text))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, item['loc'])) or 'the body'}: {item['msg']}" for item in error.errors()]
        raise InputError("; ".join(faults[:_MAX_FAULTS])) from None
