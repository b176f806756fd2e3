"""What is refused for now is tried again; what is refused for good is the state's error."""

import pytest

from tests.runners.a_job_world import World, in_a_world
from treadle.kube.names import CREATE_BEFORE
from treadle.runtime.ports import Refused, Unavailable

INVALID = Refused(
    422, "Invalid", 'Job "x" is invalid: args[0]: "exceeded quota" must not hold a blank'
)
PASSING = [
    Refused(401, "Unauthorized", "Unauthorized"),
    Refused(403, "Forbidden", "jobs.batch is forbidden: exceeded quota: q"),
    Refused(422, "Invalid", f"denied: {CREATE_BEFORE} has passed"),
    Refused(403, "Forbidden", "denied: the Lease of its maker has ended"),
]
LASTING = [
    INVALID,
    Refused(400, "BadRequest", "exceeded quota"),
    Refused(403, "Forbidden", 'jobs.batch is forbidden: violates PodSecurity "restricted"'),
    Refused(413, "RequestEntityTooLarge", "request is too large"),
]


@pytest.mark.parametrize("refusal", PASSING, ids=lambda r: r.message)
def test_what_passes_is_no_error(refusal: Refused) -> None:
    async def test(world: World) -> None:
        world.refusing(refusal)
        with pytest.raises(Unavailable):
            await world.start()
        assert world.told.outcomes == []

    in_a_world(test)


@pytest.mark.parametrize("refusal", LASTING, ids=lambda r: r.message)
def test_what_lasts_is_the_states_error_though_it_speaks_of_a_quota(refusal: Refused) -> None:
    async def test(world: World) -> None:
        world.refusing(refusal)
        await world.start()
        assert world.told.error() == "Kubernetes.Forbidden"
        assert world.told.reasons == []

    in_a_world(test)


def test_a_tombstone_that_is_refused_for_good_is_not_tried_for_ever() -> None:
    async def test(world: World) -> None:
        world.refusing(INVALID)
        await world.start(expired=True)
        assert world.job() is None

    in_a_world(test)
