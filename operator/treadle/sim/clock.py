"""An event loop with virtual time, and processes in it that can be killed at any await.

One rule: nothing here waits, and nothing happens outside: time jumps to the next timer, and a loop
with neither a timer nor anything ready is a deadlock, said loudly.
"""

import asyncio
import contextlib
import contextvars
import heapq
import random
from asyncio import events
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

BASE = datetime(2026, 1, 1, tzinfo=UTC)


class Deadlock(RuntimeError):  # noqa: N818 - what it is
    """Everybody waits for somebody: no timer is set and nothing is ready."""


class _Selector:
    """Instead of waiting for input it moves the clock."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock(f"nothing is scheduled at {self._loop.time():.3f} s")
        if timeout > 0:
            self._loop.jump()
        return []

    def close(self) -> None:
        pass


class VirtualLoop(asyncio.BaseEventLoop):
    """asyncio without waiting: `time()` is virtual seconds since the start of the world."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector = _Selector(self)
        self.born: list[asyncio.Task[Any]] = []
        self.unhandled: list[dict[str, Any]] = []
        self._frozen: dict[Process, list[asyncio.Handle]] = {}
        self.set_task_factory(self._make_task)  # type: ignore[arg-type]
        self.set_exception_handler(lambda _, context: self.unhandled.append(context))

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._now

    def jump(self) -> None:
        """To the next timer (the base class has removed cancelled ones from the head)."""
        self._now = max(self._now, self._scheduled[0].when())  # type: ignore[attr-defined]

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Inline: a world has no threads."""
        del executor
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def cancel_handles(self, doomed: Callable[[contextvars.Context], bool]) -> None:
        """Forget every callback whose context is doomed, without running any `finally`."""
        queues = (self._ready, self._scheduled, *self._frozen.values())  # type: ignore[attr-defined]
        for queue in queues:
            for handle in queue:
                if not handle.cancelled() and doomed(handle._context):
                    handle.cancel()

    def freeze(self, process: "Process") -> None:
        """Run nothing of a process until it is thawed; what comes for it meanwhile is kept."""

        def is_theirs(handle: Any) -> bool:
            return handle._context.get(_PROCESS) is process

        kept = self._frozen.setdefault(process, [])
        ready: Any = self._ready  # type: ignore[attr-defined]
        for place, handle in enumerate(ready):
            if is_theirs(handle):
                kept.append(handle)
                # Its place stays: the loop has counted what it is about to run.
                ready[place] = asyncio.Handle(print, (), self, OUTSIDE)
                ready[place].cancel()
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        theirs = [timer for timer in timers if is_theirs(timer)]
        for timer in theirs:
            timer._scheduled = False  # type: ignore[attr-defined]
        kept += sorted(theirs)
        timers[:] = [timer for timer in timers if not is_theirs(timer)]
        heapq.heapify(timers)

    def thaw(self, process: "Process") -> None:
        """Go on with a process: answers that came first, then the timers that are due by now."""
        kept = [handle for handle in self._frozen.pop(process, ()) if not handle.cancelled()]
        timers = [handle for handle in kept if isinstance(handle, asyncio.TimerHandle)]
        self._ready += [h for h in kept if not isinstance(h, asyncio.TimerHandle)]  # type: ignore[attr-defined]
        for timer in timers:
            timer._scheduled = True  # type: ignore[attr-defined]
            heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]

    def _call_soon(self, callback: Any, args: Any, context: Any) -> Any:
        handle: Any = super()._call_soon(callback, args, context)  # type: ignore[misc]
        kept = self._frozen.get(handle._context.get(_PROCESS)) if self._frozen else None
        if kept is not None:
            self._ready.pop()  # type: ignore[attr-defined]
            kept.append(handle)
        return handle

    def bury(self) -> None:
        """Close what is left of the tasks, in the order of their birth, so that a run ends alike.

        Their `finally` blocks run now, when nothing they do can have an effect any more.
        """
        for task in self.born:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                with contextlib.suppress(BaseException):
                    task.get_coro().close()
        self.born.clear()
        self.close()

    def _make_task(
        self,
        loop: asyncio.AbstractEventLoop,
        coro: Coroutine[Any, Any, T],
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[T]:
        task = asyncio.Task(coro, loop=loop, context=context)
        # A killed process's tasks must not be collected in the middle of a run: that would run
        # their `finally` blocks at a moment of the garbage collector's choice.
        self.born.append(task)
        return task

    def _process_events(self, event_list: list[Any]) -> None:
        assert not event_list

    def _write_to_self(self) -> None:
        """Nobody sleeps, so nobody needs to be woken."""

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        """A generator left half-way belongs to a killed process: its cleanup must not run."""


_PROCESS: contextvars.ContextVar["Process | None"] = contextvars.ContextVar("process", default=None)


def process_name() -> str:
    """Of the process that runs now; empty outside of all."""
    process = _PROCESS.get()
    return process.name if process is not None else ""


OUTSIDE = contextvars.Context()
"""The context of what belongs to no process: the cluster, servers, people."""


class Process:
    """Tasks that die together, as those of one operating-system process do."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False

    def start(self, coro: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine, and all that it starts, as part of this process."""
        context = contextvars.copy_context()
        context.run(_PROCESS.set, self)
        return asyncio.get_running_loop().create_task(coro, context=context)

    def kill(self) -> None:
        """As kill -9 does: not one more line of it runs, no `finally`, no `except`."""
        self.dead = True
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.cancel_handles(lambda context: context.get(_PROCESS) is self)

    def freeze(self, seconds: float) -> None:
        """Stop for a while, as a machine does that swaps or is suspended: nobody notices inside."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.freeze(self)
        loop.call_later(seconds, loop.thaw, self, context=OUTSIDE)

    async def end_here(self) -> NoReturn:
        """Kill this process from within it: the caller awaits, and that is its last line."""
        self.kill()
        await asyncio.get_running_loop().create_future()
        raise AssertionError("the dead went on")


def wall(skew_seconds: float = 0.0) -> datetime:
    """The wall clock of a machine whose clock is this much ahead."""
    seconds = asyncio.get_running_loop().time() + skew_seconds
    return BASE + timedelta(seconds=seconds)


def seconds() -> float:
    """Virtual seconds since the start of the world that runs now."""
    return asyncio.get_running_loop().time()


def run(coro: Coroutine[Any, Any, T], seed: int = 0) -> T:
    """Run a world to the end of `coro`.

    The module-level `random` is seeded too: jitter drawn from it by the rooms above is then the
    same in each run of a seed.

    Raises:
        Deadlock: `coro` waits for something that will never happen.
    """
    random.seed(seed)
    loop = VirtualLoop()
    previous = events._get_running_loop()
    assert previous is None, "a world cannot run inside another event loop"
    try:
        return loop.run_until_complete(coro)
    finally:
        loop.bury()
