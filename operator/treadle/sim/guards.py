"""Worlds without one of the fences of design.md: each must be noticed.

One rule: the product has no switch for this; a guard is taken out of it from here, for one world.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from treadle.engine.events import (
    Event,
    TaskFailed,
    TaskHeartbeat,
    TaskId,
    TaskStarted,
    TaskSucceeded,
)
from treadle.engine.execution import Execution
from treadle.engine.frames import Frame
from treadle.kube import manifests, names
from treadle.kube.api import Obj
from treadle.kube.kinds import EXECUTIONS, Kind
from treadle.runners import child
from treadle.runners.approvalwrites import ApprovalWrites
from treadle.runners.child import Place, Wish
from treadle.runners.launch import Launcher
from treadle.runners.tombstones import Tombstones
from treadle.runtime.driver import Driver
from treadle.runtime.ports import ExecutionKey, Fault, Order
from treadle.runtime.run import Run, Saved
from treadle.runtime.turn import Turns
from treadle.sim import clock, operator
from treadle.sim.objects import Objects
from treadle.stores.versions import Versions

IsThere = Callable[[], bool]


def _always() -> bool:
    return True


@contextlib.contextmanager
def _in_place_of(owner: Any, name: str, other: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, other)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextlib.contextmanager
def _save_before_act() -> Iterator[None]:
    """The world is touched first, and the decision is saved afterwards."""
    init, save = Driver.__init__, Turns._save
    drivers: list[Driver] = []

    def remembered(driver: Driver, **given: Any) -> None:
        init(driver, **given)
        drivers.append(driver)

    async def late(turns: Turns, run: Run) -> None:
        driver = next(driver for driver in drivers if driver._turns is turns)
        assert run.execution is not None
        run.saved = Saved.of(run.execution)
        driver._reconciler.align(run)
        await asyncio.sleep(0)  # what was begun acts before the save: the fault itself
        await save(turns, run)

    with _in_place_of(Driver, "__init__", remembered), _in_place_of(Turns, "_save", late):
        yield


def _resource_version() -> AbstractContextManager[None]:
    """A status is written over whatever is stored."""
    update = Objects.update

    def blind(
        objects: Objects, kind: Kind, namespace: str | None, obj: Obj, *, status: bool = False
    ) -> Obj:
        stored = objects.peek(kind, namespace, obj["metadata"]["name"])
        if kind == EXECUTIONS and stored is not None:
            version = stored["metadata"]["resourceVersion"]
            obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": version}}
        return update(objects, kind, namespace, obj, status=status)

    return _in_place_of(Objects, "update", blind)


@contextlib.contextmanager
def _events_kept() -> Iterator[None]:
    """An event leaves the mailbox when it is handled, whatever comes of the save."""
    turn, forget = Turns.turn, Run.forget_memory

    def without_events(run: Run) -> None:
        run.handled.clear()
        forget(run)

    async def forgetful(turns: Turns, run: Run) -> float | None:
        try:
            return await turn(turns, run)
        except Fault:
            without_events(run)
            raise

    with (
        _in_place_of(Run, "forget_memory", without_events),
        _in_place_of(Turns, "turn", forgetful),
    ):
        yield


def _derived_names() -> AbstractContextManager[None]:
    """Each process gives its own names."""
    derived = names.attempt

    def drawn(key: ExecutionKey, task: TaskId) -> str:
        own = ExecutionKey(key.namespace, key.name, f"{key.uid}/{clock.process_name()}")
        return derived(own, task)

    return _in_place_of(names, "attempt", drawn)


def _child_name() -> AbstractContextManager[None]:
    """Each process gives children its own names."""
    derived = child.place_of

    def drawn(order: Order, wish: Wish) -> Place:
        key = order.execution
        own = key._replace(uid=f"{key.uid}/{clock.process_name()}")
        return derived(replace(order, execution=own), wish)

    return _in_place_of(child, "place_of", drawn)


def _live_read() -> AbstractContextManager[None]:
    """What the cache does not show counts as not there."""

    async def unread(*_: Any) -> bool:
        return False

    return _in_place_of(Launcher, "_exists", unread)


@contextlib.contextmanager
def _tombstone() -> Iterator[None]:
    """A finished Job goes as soon as its result is saved; no name is taken for nothing."""

    async def at_once(tombstones: Tombstones, job: Obj, _: Any) -> None:
        await tombstones._writes.delete_job(job)

    async def untaken(*_: Any) -> None:
        pass

    with _in_place_of(Tombstones, "_rest", at_once), _in_place_of(Launcher, "take_name", untaken):
        yield


def _finalizer() -> AbstractContextManager[None]:
    """Nothing holds a Pod that may have a result."""
    whole = manifests.job

    def unheld(*given: Any, **more: Any) -> Any:
        job = whole(*given, **more)
        if isinstance(job, dict):
            job["spec"]["template"]["metadata"].pop("finalizers")
        return job

    return _in_place_of(manifests, "job", unheld)


@contextlib.contextmanager
def _answer_saved() -> Iterator[None]:
    """Who answers a token is told so before a save holds it."""
    answer = Driver.answer

    async def hasty(
        driver: Driver, execution: ExecutionKey, event: Event, is_there: IsThere = _always
    ) -> bool:
        run = driver._runs.get(execution)
        if run is None or run.execution is None or isinstance(event, TaskStarted):
            return await answer(driver, execution, event, is_there)
        assert isinstance(event, TaskSucceeded | TaskFailed | TaskHeartbeat)
        driver.post(execution, event)
        return run.execution.takes(event.task, event.at)

    with _in_place_of(Driver, "answer", hasty):
        yield


@contextlib.contextmanager
def _hand_out_saved() -> Iterator[None]:
    """A worker is told of an attempt before a save says that it has it."""
    answer = Driver.answer

    async def hasty(
        driver: Driver, execution: ExecutionKey, event: Event, is_there: IsThere = _always
    ) -> bool:
        run = driver._runs.get(execution)
        if run is None or run.execution is None or not isinstance(event, TaskStarted):
            return await answer(driver, execution, event, is_there)
        driver.post(execution, event)
        return run.execution.begins(event)

    with _in_place_of(Driver, "answer", hasty):
        yield


@contextlib.contextmanager
def _one_worker() -> Iterator[None]:
    """Each hand-out of an attempt counts, whoever has it already."""

    def anybody(execution: Execution, event: TaskStarted) -> bool:
        return execution._attempt(event.task) is not None and not execution.memory.over

    def nobody(*_: Any) -> bool:
        return False

    with (
        _in_place_of(Execution, "begins", anybody),
        _in_place_of(Execution, "_is_handed_out", nobody),
    ):
        yield


@contextlib.contextmanager
def _token_dies() -> Iterator[None]:
    """A token is of a state's visit, whichever attempt of it there is."""
    attempt = Execution._attempt

    def any_attempt(execution: Execution, task: TaskId) -> Frame | None:
        frame = execution.memory.frames.get(task.frame)
        if frame is None or frame.entry != task.entry:
            return None
        return attempt(execution, frame.task_id)

    with _in_place_of(Execution, "_attempt", any_attempt):
        yield


def _one_decision() -> AbstractContextManager[None]:
    """What became of an Approval is written over whatever was said meanwhile."""
    note = ApprovalWrites.note

    async def blind(writes: ApprovalWrites, approval: Obj, status: Obj) -> Obj:
        metadata = {**approval["metadata"], "resourceVersion": None}
        return await note(writes, {**approval, "metadata": metadata}, status)

    return _in_place_of(ApprovalWrites, "note", blind)


def _version_number() -> AbstractContextManager[None]:
    """A number follows from the versions that there are now."""
    promise = Versions.promise

    async def forgetful(
        versions: Versions, machine: Obj, status: dict[str, Any], revision: Obj | None
    ) -> None:
        if "version" in status:
            status["version"] = {**status["version"], "latest": 0}
        await promise(versions, machine, status, revision)

    return _in_place_of(Versions, "promise", forgetful)


def _sweep() -> AbstractContextManager[None]:
    """Only what events say is done."""

    async def never(_: Any) -> None:
        await asyncio.get_running_loop().create_future()

    return _in_place_of(operator.Operator, "_sweep", never)


GUARDS: Mapping[str, Callable[[], AbstractContextManager[None]]] = {
    "save-before-act": _save_before_act,
    "resource-version": _resource_version,
    "events-kept": _events_kept,
    "derived-names": _derived_names,
    "live-read": _live_read,
    "tombstone": _tombstone,
    "finalizer": _finalizer,
    "sweep": _sweep,
    "child-name": _child_name,
    "answer-saved": _answer_saved,
    "token-dies": _token_dies,
    "one-decision": _one_decision,
    "version-number": _version_number,
    "hand-out-saved": _hand_out_saved,
    "one-worker": _one_worker,
}
"""What can be taken out, by name."""
