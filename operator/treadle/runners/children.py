"""Children that run, as watches show them, and the attempts that they say wait for them.

One rule: it is what was seen, whether the attempt is known here or not; one that is being stopped
does not count as running.
"""

from collections.abc import Collection, Iterable

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
        self._running: dict[ExecutionKey, dict[TaskId, ExecutionKey]] = {}

    def of(self, execution: ExecutionKey) -> Iterable[TaskId]:
        """The attempts of an execution whose children run."""
        return list(self._running.get(execution, ()))

    def waited_for(self, attempt: Attempt) -> ExecutionKey | None:
        """The child of an attempt, where it runs."""
        return self._running.get(attempt.execution, {}).get(attempt.task)

    def seen(self, sighting: Sighting, parent: Attempt) -> bool:
        """A child was seen; gives whether it runs for its parent."""
        # One that was redriven goes on of its own accord: its parent was told how it had ended.
        if is_over(sighting) or sighting.stop is not None or sighting.redriven:
            self.over(parent, sighting.key)
            return False
        self._running.setdefault(parent.execution, {})[parent.task] = sighting.key
        return True

    def over(self, parent: Attempt, key: ExecutionKey) -> None:
        """A child has ended, or ends."""
        children = self._running.get(parent.execution, {})
        if children.get(parent.task) == key:
            del children[parent.task]
        if not children:
            self._running.pop(parent.execution, None)

    def keep(self, listed: Collection[ExecutionKey]) -> None:
        """Forget those that a list of all that run does not have."""
        for parent, children in list(self._running.items()):
            for task, key in list(children.items()):
                if key not in listed:
                    self.over(Attempt(parent, task), key)
