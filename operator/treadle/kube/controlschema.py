"""What people ask of an Execution that exists: that it stops, or goes on.

One rule: a wish is a member of the spec, and its answer one of the status.
"""

from pydantic import Field

from treadle.kube.members import NAME_CHARS_MAX, WHOLE, Count, Free, Instant, Model, Who, ruled

ERROR_CHARS_MAX = 256  # AWS: StopExecution `error`
CAUSE_CHARS_MAX = 32_768  # AWS: StopExecution `cause`

STOP_STAYS = {
    "rule": "!has(oldSelf.stop) || (has(self.stop) && self.stop == oldSelf.stop) || "
    "(!has(self.stop) && has(self.redrive) && "
    "(!has(oldSelf.redrive) || self.redrive.id != oldSelf.redrive.id))",
    "message": "stop can be neither changed nor taken back, but together with a new redrive",
    "fieldPath": ".stop",
}
"""A stop is over once the execution goes on after it."""

STOP_ENDS = {
    "rule": "!has(oldSelf.spec.stop) || has(self.spec.stop) || (has(self.status) && "
    "has(self.status.phase) && self.status.phase in ['Failed', 'TimedOut', 'Aborted'])",
    "message": "stop can be taken back once the execution has ended: wait for that",
    "fieldPath": ".spec.stop",
}
"""A stop that nobody has looked at is not lost."""


class Stop(Model):
    """That the execution shall end."""

    model_config = ruled(**WHOLE)

    error: str | None = Field(None, max_length=ERROR_CHARS_MAX)
    """The error that it ends with."""
    cause: str | None = Field(None, max_length=CAUSE_CHARS_MAX)
    """Why, for people."""
    by: Who | None = None
    """Who asks. With Treadle's admission policies nobody names another."""


class SuspendBy(Model):
    """Who changed spec.suspend, by one change: who changes it later is not taken for the same."""

    model_config = ruled(**WHOLE)

    by: Who
    """Who asks. With Treadle's admission policies nobody names another."""
    uid: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    """The metadata.uid of this Execution: one that is made again of this is another."""
    generation: Count
    """The metadata.generation that the change makes: one more than before it."""


class Redrive(Model):
    """How an execution that did not succeed goes on. What had succeeded is not run again."""

    model_config = ruled(
        {
            "rule": "!(has(self.input) && has(self.inputJson))",
            "message": "input and inputJson exclude each other: give one of them",
        },
        **WHOLE,
    )

    id: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    """Any text. Another one than before is another redrive."""
    from_: str | None = Field(None, alias="from", min_length=1)
    """The outermost state to go on with, which is entered anew; the one in which it ended unless
    given, which then goes on from where it was."""
    input: Free | None = None
    """What that state is given, an object, if not what it was given when it was entered last."""
    input_json: str | None = None
    """The same as a text: any JSON, kept to the letter."""
    variables: Free | None = None
    """Variables to assign before that state is entered anew."""
    revision: str | None = None
    """Name of the StateMachineRevision to go on with; the same one unless given."""
    by: Who | None = None
    """Who asks. With Treadle's admission policies nobody names another."""


class RedriveAnswer(Model):
    """What became of spec.redrive."""

    id: str
    """Which one it is about."""
    count: Count | None = None
    """How often the execution was redriven."""
    at: Instant | None = None
    """When it was last."""
    refused: str | None = None
    """Why it was not, this time."""
