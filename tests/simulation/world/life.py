"""A virtual event loop on which simulated machines live: each can hang, be killed and come back.

What a machine's programs do is what runs in its context. A callback of a machine that hangs waits until it goes on, one
of a machine that is dead never runs.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import heapq
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tests.simulation.virtual_loop import VirtualLoop

_T = TypeVar("_T")
LIFE: contextvars.ContextVar[Life | None] = contextvars.ContextVar("life", default=None)


class Life:
    """One life of a machine, from its start to its stop or crash."""

    def __init__(self, name: str, loop: WorldLoop) -> None:
        self.name = name
        self.loop = loop
        self.hanging = False
        self.cut_off = False
        """Nothing that it does is seen any more."""
        self.dead = False
        self.ended = asyncio.Event()
        self.waiting: list[asyncio.Handle] = []
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.context = contextvars.copy_context()
        self.context.run(LIFE.set, self)

    def do(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Begin a task of this machine."""
        return self.loop.create_task(work, context=self.context)

    def hang(self) -> None:
        """Stop where it is, as SIGSTOP does."""
        self.hanging = True

    def go_on(self) -> None:
        """Go on after a hang."""
        self.hanging = False
        waiting, self.waiting = self.waiting, []
        self.loop.give(waiting)

    async def end(self) -> None:
        """Kill it: its tasks are cancelled behind a curtain (``cut_off``), then nothing of it runs again."""
        self.cut_off = True
        self.go_on()
        for _ in range(20):
            running = [task for task in self.tasks if not task.done()]
            if not running:
                break
            for task in running:
                task.cancel()
            await asyncio.sleep(0)
        self.dead = True
        self.ended.set()


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Who waits for a task hears of its error; the loop need not log those that nobody waits for."""
    if not task.cancelled():
        task.exception()


class _Handle(asyncio.Handle):
    __slots__ = ()

    def _run(self) -> None:
        if _may_run(self):
            super()._run()


class _TimerHandle(asyncio.TimerHandle):
    __slots__ = ()

    def _run(self) -> None:
        if _may_run(self):
            super()._run()


def _may_run(handle: Any) -> bool:
    life = handle._context.get(LIFE)
    if life is None:
        return True
    if life.dead:
        return False
    if life.hanging:
        life.waiting.append(handle)
        return False
    return True


class WorldLoop(VirtualLoop):
    """The loop of all machines. ``delay_s`` says how long the next work in a thread takes."""

    def __init__(self, delay_s: Callable[[], float]) -> None:
        super().__init__()
        self._delay_s = delay_s
        self.set_task_factory(self._make_task)

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, work: Any, context: contextvars.Context | None = None, **more: Any
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=context, **more)
        life = LIFE.get() if context is None else context.get(LIFE)
        if life is not None:
            life.tasks[task] = None
            task.add_done_callback(life.tasks.pop)
        task.add_done_callback(_retrieve)
        return task

    def _call_soon(self, callback: Any, args: Any, context: Any) -> asyncio.Handle:
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def give(self, handles: list[asyncio.Handle]) -> None:
        """Run these again, those that were not cancelled."""
        self._ready.extend(handle for handle in handles if not handle.cancelled())  # type: ignore[attr-defined]

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:  # type: ignore[override]
        timer = _TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def run_in_executor(self, executor: Any, func: Callable[..., _T], *args: Any) -> asyncio.Future[_T]:  # type: ignore[override]
        """Do the work on this loop, after a while: nothing else runs meanwhile, and much runs before it."""
        del executor
        future: asyncio.Future[_T] = self.create_future()
        self.call_later(self._delay_s(), self._work, future, functools.partial(func, *args))
        return future

    @staticmethod
    def _work(future: asyncio.Future[_T], work: Callable[[], _T]) -> None:
        # A thread that has begun finishes even if nobody waits any more.
        try:
            result = work()
        except BaseException as error:
            if not future.done():
                future.set_exception(error)
            return
        if not future.done():
            future.set_result(result)

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run a world to its end."""
        asyncio.set_event_loop(self)
        try:
            self.run_until_complete(main)
        finally:
            asyncio.set_event_loop(None)
            self.close()
