"""Control by lines: each command's answer is told in one line."""

from __future__ import annotations

from collections.abc import Callable

from services.feeder.control.lines import lines_of
from services.feeder.control.operator import GridOperator, answered
from services.feeder.live_stream import LiveStream, Operator


def console_control(descriptor: int, tell: Callable[[str], None]) -> Operator:
    """Reads commands from a file descriptor until it ends; the stream goes on without them then."""

    async def control(stream: LiveStream) -> None:
        operator = GridOperator(stream)
        async for line in lines_of(descriptor):
            if line:
                _, told = await answered(operator, line)
                tell(told)

    return control
