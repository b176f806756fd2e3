"""Children that run, as watches show them, and the attempts that they say wait for them.

One rule: it is what was seen, whether the attempt is known here or not; one that is being stopped
does not count as running.
"""

from collections.abc import Collection, Iterable, Sequence

from treadle.engine.events import TaskId
from treadle.kube.api import Obj
from treadle.runtime.ports import TERMINAL, Attempt, ExecutionKey, Sighting


def key_of(execution: Obj) -> ExecutionKey:
    """Which execution an object is."""
    metadata = execution["metadata"]
    return ExecutionKey(metadata["namespace"], metadata["name"], metadata["uid"])


def is_over(sighting: Sighting) -> bool:
    """Whether an execution has ended, or goes."""
    return sighting.phase in TERMINAL or sighting.deleting or sighting.deleted


class Children:
    """See the module. By the execution that waits, so that nobody looks through all of them."""

    def __init__(self) -> None:
        # Whoever may label an Execution may have it say that it is one: that hides no other.
        self._running: dict[ExecutionKey, dict[TaskId, dict[ExecutionKey, None]]] = {}

    def of(self, execution: ExecutionKey) -> Iterable[TaskId]:
        """The attempts of an execution whose children run."""
        return list(self._running.get(execution, ()))

    def waited_for(self, attempt: Attempt) -> Sequence[ExecutionKey]:
        """What runs and says that it is the child of an attempt."""
        return list(self._running.get(attempt.execution, {}).get(attempt.task, ()))

    def seen(self, sighting: Sighting, parent: Attempt) -> bool:
        """A child was seen; gives whether it runs for its parent."""
        # One that was redriven goes on of its own accord: its parent was told how it had ended.
        if is_over(sighting) or sighting.stop is not None or sighting.redriven:
            self.over(parent, sighting.key)
            return False
        children = self._running.setdefault(parent.execution, {}).setdefault(parent.task, {})
        children[sighting.key] = None
        return True

    def over(self, parent: Attempt, key: ExecutionKey) -> None:
        """A child has ended, or ends."""
        tasks = self._running.get(parent.execution, {})
        children = tasks.get(parent.task, {})
        children.pop(key, None)
        if not children:
            tasks.pop(parent.task, None)
        if not tasks:
            self._running.pop(parent.execution, None)

    def keep(self, listed: Collection[ExecutionKey]) -> None:
        """Forget those that a list of all that run does not have."""
        for parent, tasks in list(self._running.items()):
            for task, children in list(tasks.items()):
                for key in [key for key in children if key not in listed]:
                    self.over(Attempt(parent, task), key)
