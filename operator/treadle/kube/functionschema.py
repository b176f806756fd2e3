"""`functions` of a StateMachine, as a model.

One rule: members that it does not know are kept, so that they are a problem of the machine, which
says where, and not lost.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

FUNCTIONS_MAX = 1_000
WORDS_MAX = 1_000
URL_CHARS_MAX = 4_096

_CONFIG = ConfigDict(alias_generator=to_camel, use_attribute_docstrings=True)


class Function(BaseModel):
    """What runs in place of a Lambda function: one of image, url and stateMachine."""

    model_config = ConfigDict(
        **_CONFIG, json_schema_extra={"x-kubernetes-preserve-unknown-fields": True}
    )

    image: str | None = None
    """A container image: each call is a Job, as of a `treadle:job` Task. Its input is the payload,
    its result what the function returns."""
    command: list[str] | None = Field(None, max_length=WORDS_MAX)
    """The image's command; its own unless given. `$(TREADLE_VOLUME_NAME)` stands for where
    podTemplate mounts the volume `name`."""
    url: str | None = Field(None, max_length=URL_CHARS_MAX)
    """An http or https URL: each call is a POST of the payload, and the answer's body is what the
    function returns."""
    state_machine: Annotated[
        Any, Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
    ] = None
    """Not supported yet: use image or url."""


class WithFunctions(BaseModel):
    """What a StateMachine and its revisions have in common."""

    model_config = _CONFIG

    functions: dict[str, Function] | None = Field(None, max_length=FUNCTIONS_MAX)
    """What runs in place of Lambda functions, by the function's ARN, `account:function:name` or
    name, each with a version or an alias, or without. The longest name that fits decides. A Task
    that calls a function which is not here is a problem of the machine."""
