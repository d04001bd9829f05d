"""Control of a stream: by lines of standard input, by HTTP on loopback, or by both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from services.feeder.concurrently import concurrently
from services.feeder.control.lines import lines_of
from services.feeder.control.operator import BY_HAND, GridOperator, answered
from services.feeder.live_stream import LiveStream, Operator


def stream_control(
    tell: Callable[[str], None], *, descriptor: int | None = None, port: int | None = None, folder: Path = Path()
) -> Operator | None:
    """What works on a stream until it ends; None where neither is asked for.

    Commands come from a file descriptor until it ends (the stream goes on then), and from HTTP at a ``port`` of
    loopback, whose token is written into ``folder``. What is done is told in one line each.
    """
    if descriptor is None and port is None:
        return None

    async def control(stream: LiveStream) -> None:
        operator = GridOperator(stream)
        work = []
        if descriptor is not None:
            work.append(_follow_lines(operator, descriptor, tell))
        if port is not None:
            work.append(_serve(operator, port, folder, tell))
        await concurrently(work)

    return control


async def _follow_lines(operator: GridOperator, descriptor: int, tell: Callable[[str], None]) -> None:
    async for line in lines_of(descriptor):
        if line:
            _, told = await answered(operator, line)
            tell(told)


async def _serve(operator: GridOperator, port: int, folder: Path, tell: Callable[[str], None]) -> None:
    from services.feeder.app import HOST, control_server  # noqa: PLC0415 -- FastAPI takes a second, and few ask for it

    async def answer(line: str) -> str:
        found = await operator.answer(line)
        if found.startswith(BY_HAND):
            tell(found)
        return found

    async with control_server(port, folder, answer) as token:
        tell(f"control at http://{HOST}:{port}/control, the token is in {token}")
        await asyncio.Event().wait()
