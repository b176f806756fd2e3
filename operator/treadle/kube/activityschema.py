"""The model of an Activity: work that is done by whoever asks for it.

One rule: nothing about a task is written here; an Activity says that there is such work, and how it
is called.
"""

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

DESCRIPTION_CHARS_MAX = 1_024
ARN_CHARS_MAX = 256  # AWS: Arn

_CONFIG = ConfigDict(alias_generator=to_camel, use_attribute_docstrings=True)


class ActivitySpec(BaseModel):
    """What there is to say of the work. May be absent."""

    model_config = _CONFIG

    description: str | None = Field(None, max_length=DESCRIPTION_CHARS_MAX)
    """What its workers do, for people."""
    arn: str | None = Field(
        None, max_length=ARN_CHARS_MAX, pattern=r"^arn:[^:]+:states:[^:]+:[^:]+:activity:.+$"
    )
    """An ARN by which definitions and workers know it besides the one of its namespace and name:
    that of AWS, say, so that neither has to be changed."""


class Activity(BaseModel):
    """Work that workers ask for.

    A Task whose Resource is `treadle:activity/NAME` waits until a worker has taken it and says how
    it ended. Whoever may `work` on an Activity, a verb of RBAC, may be one. The queue is in the
    Executions that wait: nothing is written here.
    """

    model_config = _CONFIG

    spec: ActivitySpec | None = None
    """What there is to say of the work. May be absent."""
