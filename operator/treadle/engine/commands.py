"""What must exist outside.

One rule: commands are never stored; they are computed from the snapshot again and again.
"""

from dataclasses import dataclass
from datetime import datetime

from treadle.asl.json import Json
from treadle.engine.events import TaskId


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt's work outside.

    Attributes:
        id: which attempt.
        state: the state's name.
        resource: the state's Resource, as written.
        parameters: after Parameters; the effective input where the state has none.
        input: the state's effective input (after InputPath), before Parameters.
        digest: of all the snapshot says of the attempt: program, state, input. Equal digests mean
            the same work; what is rendered from it may differ between releases.
        due_at: when the attempt began.
        deadline_at: when the engine will time it out; None where nothing bounds it.
        uid: of the Job that was seen running it; empty before that.
        path: the states around it, with the index of a branch or an item, for people.
    """

    id: TaskId
    state: str
    resource: str
    parameters: Json
    input: Json
    digest: str
    due_at: datetime
    deadline_at: datetime | None
    uid: str
    path: str = ""
