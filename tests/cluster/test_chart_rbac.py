"""The operator under the chart's own service account: all that it may do it does, and no more."""

from __future__ import annotations

import base64
import json
import threading
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from tests.cluster.lab import places
from tests.cluster.lab.namespaces import Cluster, Namespace
from tests.cluster.support.audit import Audit
from tests.cluster.support.charted import BESIDE, PAST, RELEASE, Installation, installed, late_job
from tests.cluster.support.machines import chain, each, passes, task
from tests.cluster.support.operator_process import OperatorProcess
from tests.cluster.support.people import (
    ALIASES,
    APPROVALS,
    EXECUTIONS,
    RESULT_FINALIZER,
    People,
    condition_of,
    uid_of,
)
from tests.support.chart import Right

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("crds", "pretend")]

HANG = {"hang": True}
NOISE = "example.org/noise"
PODS_AT_ONCE = 12
# Tombstones, spare revisions and superseded pages stay 120 s; a sweep comes every 30 s.
ALL_SECONDS = 300


@pytest.fixture
def audit_log(cluster: Cluster) -> None:
    if cluster.kubeconfig != places.KUBECONFIG or not places.AUDIT_LOG.exists():
        pytest.skip("this cluster shows no audit log")


def an_operator(
    release: Installation, folder: Path, namespaces: tuple[str, ...] = ()
) -> OperatorProcess:
    return OperatorProcess(
        release.kubeconfig(folder),
        folder / "operator.log",
        namespaces=namespaces,
        lease_namespace=release.namespace.name,
        lease_name=RELEASE,
    )


# ------------------------------------------------------------------------------ what it must do


def digits(count: int) -> str:
    """Text that packs badly enough, the same each time."""
    raw = b"".join(str(n * n).encode() for n in range(count))
    return base64.b64encode(zlib.compress(raw, 9)).decode()[:count]


def overflowing() -> dict[str, Any]:
    """A Map whose snapshot does not fit in a status, again and again over more than 120 s."""
    inner = chain(
        Grow=passes(Parameters={"v.$": "States.Base64Encode($)"}),
        Rest={"Type": "Wait", "Seconds": 5},
        Once=passes(Result=1, ResultPath="$.n"),
        Sleep={"Type": "Wait", "Seconds": 130},
        Twice=passes(Result=2, ResultPath="$.n"),
    )
    return chain(Every=each(inner, ItemsPath="$.items", ResultPath=None))


def long_things(people: People) -> None:
    """What shows only after minutes."""
    text = digits(150_000)
    items = [text[at : at + 2_000] for at in range(0, 120_000, 2_000)]
    people.run("overflow", overflowing(), input={"items": items})
    people.run("secret", chain(Take=task()), input={"text": digits(200_000)})
    before, after = (chain(Only=passes(Result=n)) for n in (1, 2))
    people.machine("changes", before)
    assert people.judged("changes")["status"] == "True"
    for definition in (after, before):
        place = ("treadle.dev", "v1alpha1", people.namespace.name, "statemachines", "changes")
        body = {"spec": {"definition": definition}}
        people.namespace.custom.patch_namespaced_custom_object(*place, body)
        assert people.judged("changes")["status"] == "True"
    people.reaches("overflow", lambda status: status.get("checkpoint"), "its first save")


def published_things(people: People) -> None:
    """A version is run through an alias."""
    people.machine("published", chain(Only=passes()), publish={"id": "first"})
    routes = [{"version": 1, "weight": 100}]
    spec = {"stateMachineRef": {"name": "published"}, "routes": routes}
    people.create("StateMachineAlias", ALIASES, "live", spec)
    people.holds("live", "Ready", plural=ALIASES)
    ref = {"stateMachineRef": {"name": "published", "alias": "live"}}
    people.create("Execution", EXECUTIONS, "published", ref)
    people.succeeds("published")


def stopped_things(people: People) -> None:
    """A running Job is stopped, and a Pod whose Job was taken away."""
    for name in ("stopped", "orphaned"):
        made = people.run(name, chain(Hang=task(HANG)))
        people.a_pod(uid_of(made))
        if name == "orphaned":
            orphan(people, uid_of(made))
        people.patch(name, {"stop": {}})
        assert people.ends(name)["phase"] == "Aborted"


def nested_things(people: People, owner: People) -> None:
    """A child is made, where its machine is, and stopped with its parent."""
    home = people.namespace.name
    lower, upper = f"lower-{home}", f"upper-{home}"
    owner.machine(lower, chain(Hang=task(HANG)), callers={"namespaces": [home]})
    parameters = {"stateMachine": lower, "namespace": owner.namespace.name}
    state = {"Type": "Task", "Resource": "treadle:execution.sync", "Parameters": parameters}
    people.run(upper, chain(Start=state))
    selector = ("get", "ex", "-l", f"treadle.dev/parent={upper}", "-o", "name")
    owner.namespace.wait(lambda: owner.kubectl(*selector), "a child")
    people.patch(upper, {"stop": {}})
    assert people.ends(upper)["phase"] == "Aborted"
    child = owner.kubectl(*selector).strip().partition("/")[2]
    assert owner.ends(child)["error"] == "Treadle.ParentEnded", "the policy lets it stop"


def asked_things(people: People) -> None:
    """A question is taken away from people, and another is of no more interest."""
    for name in ("asked", "dropped"):
        asks = {"Type": "Task", "Resource": "treadle:approval", "Parameters": {"message": "?"}}
        approval = people.an_approval(uid_of(people.run(name, chain(Ask=asks))))
        if name == "asked":
            people.delete(approval["metadata"]["name"], APPROVALS)
            assert people.fails(name)["error"] == "Treadle.ApprovalDeleted"
        else:
            people.patch(name, {"stop": {}})
            assert people.ends(name)["phase"] == "Aborted"


def working_things(people: People, operator: OperatorProcess) -> None:
    """An Activity is looked for, and a worker asks for work that it may not do."""
    people.run("asks", chain(Ask={"Type": "Task", "Resource": "treadle:activity/none"}))
    assert people.fails("asks")["error"] == "ActivityDoesNotExist"
    spec = {"spec": {"audiences": ["treadle"], "expirationSeconds": 600}}
    space = people.namespace
    token = space.core.create_namespaced_service_account_token("default", space.name, spec)
    path = f"/v1/namespaces/{space.name}/activities/none/poll"
    url = f"http://127.0.0.1:{operator.api_port}{path}"
    bearer = {"Authorization": f"Bearer {token.status.token}"}
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(url, b"", bearer), timeout=30)
    with refused.value:
        assert refused.value.code == 403


def orphan(people: People, uid: str) -> None:
    """Delete the Job and leave its Pod."""
    (job,) = people.jobs(uid)
    people.namespace.batch.delete_namespaced_job(
        job["metadata"]["name"], people.namespace.name, propagation_policy="Orphan"
    )
    people.namespace.wait(lambda: not people.jobs(uid), "the Job to go")


def full_things(people: People) -> None:
    """A namespace without room for Pods, and for one page only."""
    core, space = people.namespace.core, people.namespace.name
    people.namespace.wait(partial(filled, people.namespace), "a quota that counts", seconds=120)
    people.run("no-pods", chain(Wait=task()))
    people.run("no-pages", chain(Keep=passes()), input={"text": digits(600_000)})

    def repeated() -> bool:
        events = core.list_namespaced_event(space, field_selector="reason=Refused").items
        return any((event.count or 0) > 1 for event in events)

    people.namespace.wait(repeated, "an Event that was counted up")
    people.holds("no-pods", "WaitingForCapacity")
    core.delete_namespaced_resource_quota("full", space)
    people.ends("no-pages")
    people.ends("no-pods", seconds=90)


def filled(namespace: Namespace) -> bool:
    """Whether a new quota counts our kinds: its controller looks for new kinds every 30 s only,
    and at a quota that it could not count some minutes later.
    """
    hard = {"pods": "0", "count/executionpages.treadle.dev": "1"}
    quota = {"metadata": {"name": "full"}, "spec": {"hard": hard}}
    namespace.core.create_namespaced_resource_quota(namespace.name, quota)

    def used() -> dict[str, str]:
        read = namespace.core.read_namespaced_resource_quota
        return read("full", namespace.name).status.used or {}

    namespace.wait(used, "the quota to be looked at")
    if used().keys() == hard.keys():
        return True
    namespace.core.delete_namespaced_resource_quota("full", namespace.name)
    return False


@contextmanager
def disturbed(people: People, uid: str) -> Iterator[None]:
    """Somebody else changes the finalizers of an execution's Pods all the time."""
    done = threading.Event()

    def disturb() -> None:
        while not done.is_set():
            for pod in people.pods(uid):
                held = pod["metadata"].get("finalizers") or []
                if RESULT_FINALIZER in held or NOISE in held:
                    toggle(people.namespace, pod["metadata"]["name"], on=NOISE not in held)

    threads = [threading.Thread(target=disturb) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()
        for pod in people.pods(uid):
            if NOISE in (pod["metadata"].get("finalizers") or []):
                toggle(people.namespace, pod["metadata"]["name"], on=False)


def toggle(namespace: Namespace, pod: str, *, on: bool) -> None:
    path = "/metadata/finalizers/0"
    remove = [{"op": "test", "path": path, "value": NOISE}, {"op": "remove", "path": path}]
    patch = [{"op": "add", "path": path, "value": NOISE}] if on else remove
    try:
        namespace.core.patch_namespaced_pod(pod, namespace.name, patch)
    except ApiException as why:
        if why.status not in (404, 422):  # it is gone, or somebody was faster
            raise


def disturbed_things(people: People, shown: Callable[[], bool]) -> None:
    """Pods are freed while others change their finalizers, until a second look was needed."""
    inner = chain(Short=task({"seconds": 1}))
    people.machine("disturbed", each_of(inner))
    for number in range(10):
        if shown():
            return
        name = f"disturbed-{number}"
        made = people.execution(name, "disturbed", input={"items": list(range(PODS_AT_ONCE))})
        with disturbed(people, uid_of(made)):
            people.ends(name, seconds=90)
            people.namespace.wait(partial(nothing_held, people, uid_of(made)), "free Pods")


def each_of(inner: dict[str, Any]) -> dict[str, Any]:
    return chain(Every=each(inner, ItemsPath="$.items"))


def nothing_held(people: People, uid: str) -> bool:
    finalizers = [pod["metadata"].get("finalizers") or [] for pod in people.pods(uid)]
    return not [each for each in finalizers if RESULT_FINALIZER in each]


def requests(release: Installation) -> set[Right]:
    """Rights that requests are made by; `stop` is what the admission policy asks for."""
    return release.rights - {Right("treadle.dev", "executions", "stop")}


# --------------------------------------------------------------------------------------- tests


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("audit_log")
def test_the_operator_does_all_that_it_may_and_no_more(
    cluster: Cluster, people: People, loner: People, tmp_path: Path
) -> None:
    with installed(cluster, BESIDE) as release:
        audit = Audit.begin(release.user)
        with an_operator(release, tmp_path) as operator:
            long_things(people)
            # What was saved is read again.
            assert operator.terminate() == 0
            operator.start()
            stopped_things(people)
            published_things(people)
            nested_things(people, owner=people)
            asked_things(people)
            working_things(people, operator)
            full_things(loner)
            disturbed_things(people, lambda: Right("", "pods", "get") in audit.used())
            assert people.ends("overflow", seconds=ALL_SECONDS)["phase"] == "Succeeded"
            with suppress(TimeoutError):  # what was not seen is said below
                people.namespace.wait(
                    lambda: not requests(release) - audit.used(), "all rights", seconds=ALL_SECONDS
                )
            assert operator.terminate() == 0
        assert audit.used() == requests(release)
        assert audit.refused() == set()


@pytest.mark.timeout(300)
def test_in_namespaced_scope_roles_are_enough(
    cluster: Cluster, people: People, loner: People, tmp_path: Path
) -> None:
    names = [people.namespace.name, loner.namespace.name]
    values = {**BESIDE, "scope": "namespaces", "namespaces": names}
    with installed(cluster, values) as release:
        audit = Audit.begin(release.user) if places.AUDIT_LOG.exists() else None
        with an_operator(release, tmp_path, tuple(names)) as operator:
            for user in (people, loner):
                inner = chain(Echo=task({"echoInput": True}))
                user.run("scoped", each_of(inner), input={"items": [1, 2]})
            stopped_things(loner)
            published_things(loner)
            nested_things(loner, owner=people)
            for user in (people, loner):
                assert user.succeeds("scoped") == [1, 2]
            assert operator.get("/readyz")[0] == 200
            assert operator.terminate() == 0
        people.namespace.wait(lambda: late_job(people.namespace, PAST), "the policies")
        assert late_job(release.namespace, PAST) == "", "they hold where the operator serves"
        if audit is not None:
            assert audit.refused() == set()
            assert audit.used() <= release.rights


def test_a_machine_is_ready_under_the_charts_rights_alone(
    cluster: Cluster, loner: People, tmp_path: Path
) -> None:
    values = {**BESIDE, "scope": "namespaces", "namespaces": [loner.namespace.name]}
    with (
        installed(cluster, values) as release,
        an_operator(release, tmp_path, (loner.namespace.name,)),
    ):
        loner.machine("ready", chain(Only=passes()))
        assert loner.judged("ready")["reason"] == "Valid"
        loner.execution("ready")
        loner.succeeds("ready")
        assert condition_of(loner.status("ready"), "Complete")["status"] == "True"
        assert json.loads(loner.kubectl("get", "lease", "-o", "json"))["items"] == []
