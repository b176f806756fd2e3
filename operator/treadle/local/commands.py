"""Tasks that leave their command to their image, which only a container can follow.

One rule: only what the definition itself says is judged; what data decides is known when it runs.
"""

from collections.abc import Container, Iterator, Mapping

from treadle.asl.arns import without_token
from treadle.asl.errors import StateError
from treadle.asl.json import Json
from treadle.asl.program import Program
from treadle.kube.parameters import JobParameters
from treadle.kube.podtemplates import PodDefaults, main_of, rendered
from treadle.runners.jobs import RESOURCE
from treadle.stores.judgement import PODS, tasks

POD_DEFAULTS = PodDefaults(level="privileged")
"""Of a desk, which has no Pod that could be refused."""


def without_command(
    program: Program, spec: Mapping[str, Json], commands: Container[str]
) -> Iterator[tuple[str, str]]:
    """States and the images whose command cannot be known here.

    Args:
        program: of the machine.
        spec: of the StateMachine.
        commands: images whose command somebody has named.
    """
    pods = {member: spec[member] for member in PODS if member in spec}
    for _, task, written in tasks(program):
        if (
            without_token(task.resource) != RESOURCE
            or written.is_computed
            or "command" in written.keys
        ):
            continue
        template = written.literals.get("template")
        asked = JobParameters(
            image=written.literals.get("image"),
            template=template if isinstance(template, str) else None,
        )
        pod = rendered(pods, asked, POD_DEFAULTS)
        if isinstance(pod, StateError):
            continue  # the state fails with that sentence
        main = main_of(pod)
        image = main.get("image", "")
        if not main.get("command") and image and image not in commands:
            yield task.name, image
