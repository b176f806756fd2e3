"""The store answers as the recorded answers of a real API server do."""

from datetime import UTC, datetime
from typing import Any

import pytest

from treadle.kube.kinds import EXECUTIONS, JOBS, PODS, SECRETS
from treadle.runtime.ports import AlreadyExists, Conflict, Expired, Missing, Refused
from treadle.sim.objects import Objects

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def objects() -> Objects:
    return Objects(lambda: NOW, 1)


def an_execution(name: str = "a", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **more}, "spec": {"stateMachineRef": {"name": "m"}}}


def a_job(name: str = "j") -> dict[str, Any]:
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "i"}]}
    return {"metadata": {"name": name}, "spec": {"template": {"spec": pod}}}


def put(objects: Objects, obj: dict[str, Any] | None = None) -> dict[str, Any]:
    return objects.create(EXECUTIONS, "default", obj or an_execution())


def test_status_of_a_create_is_dropped(objects: Objects) -> None:
    made = put(objects, {**an_execution(), "status": {"phase": "Running"}})
    assert "status" not in made
    assert made["metadata"]["generation"] == 1


def test_creating_twice_is_refused(objects: Objects) -> None:
    put(objects)
    with pytest.raises(AlreadyExists):
        put(objects)


def test_a_generated_name(objects: Objects) -> None:
    obj = {"metadata": {"generateName": "g-"}, "spec": {}}
    assert put(objects, obj)["metadata"]["name"].startswith("g-")


def test_what_a_reader_changes_is_its_own(objects: Objects) -> None:
    put(objects)["spec"]["stateMachineRef"]["name"] = "changed"
    objects.get(EXECUTIONS, "default", "a")["spec"].clear()
    assert objects.get(EXECUTIONS, "default", "a")["spec"] == {"stateMachineRef": {"name": "m"}}


def test_status_on_the_main_resource_and_spec_on_status_are_dropped(objects: Objects) -> None:
    put(objects)
    objects.patch(EXECUTIONS, "default", "a", {"status": {"phase": "Running"}})
    assert "status" not in objects.get(EXECUTIONS, "default", "a")
    patch = {"status": {"phase": "Running"}, "metadata": {"labels": {"x": "y"}}}
    made = objects.patch(EXECUTIONS, "default", "a", patch, status=True)
    assert made["status"] == {"phase": "Running"}
    assert "labels" not in made["metadata"]
    assert made["metadata"]["generation"] == 1


def test_a_patch_that_changes_nothing_has_no_version(objects: Objects) -> None:
    made = put(objects)
    same = objects.patch(EXECUTIONS, "default", "a", {"spec": {"stateMachineRef": {"name": "m"}}})
    assert same == made
    assert len(objects.since(EXECUTIONS, 0)) == 1


def test_null_deletes_a_key(objects: Objects) -> None:
    put(objects)
    objects.patch(EXECUTIONS, "default", "a", {"status": {"a": 1, "b": 2}}, status=True)
    made = objects.patch(EXECUTIONS, "default", "a", {"status": {"a": None}}, status=True)
    assert made["status"] == {"b": 2}


def test_a_stale_version_conflicts_and_a_missing_one_is_invalid(objects: Objects) -> None:
    made = put(objects)
    objects.patch(EXECUTIONS, "default", "a", {"metadata": {"labels": {"x": "y"}}})
    with pytest.raises(Conflict):
        objects.update(EXECUTIONS, "default", made, status=True)
    with pytest.raises(Conflict):
        objects.patch(EXECUTIONS, "default", "a", {"metadata": {"resourceVersion": "1"}})
    del made["metadata"]["resourceVersion"]
    with pytest.raises(Refused) as refused:
        objects.update(EXECUTIONS, "default", made)
    assert refused.value.status == 422


def test_a_json_patch_tests(objects: Objects) -> None:
    put(objects)
    objects.patch(EXECUTIONS, "default", "a", {"status": {"list": [1, 2, 3]}}, status=True)

    def patch(*operations: dict[str, Any]) -> Any:
        made = objects.patch(EXECUTIONS, "default", "a", list(operations), form="json", status=True)
        return made["status"]

    good = {"op": "test", "path": "/status/list/1", "value": 2}
    assert patch(good, {"op": "remove", "path": "/status/list/1"}) == {"list": [1, 3]}
    assert patch({"op": "add", "path": "/status/list/-", "value": 4}) == {"list": [1, 3, 4]}
    assert patch({"op": "add", "path": "/status/x~1y", "value": 4})["x/y"] == 4
    assert patch({"op": "replace", "path": "/status/list", "value": 0}) == {"list": 0, "x/y": 4}
    with pytest.raises(Conflict):
        patch(good, {"op": "remove", "path": "/status/list"})
    with pytest.raises(Refused):
        patch({"op": "replace", "path": "/status/none/x", "value": 1})


def test_a_uid_cannot_be_changed(objects: Objects) -> None:
    put(objects)
    with pytest.raises(Refused):
        objects.patch(EXECUTIONS, "default", "a", {"metadata": {"uid": "x"}})


def test_deletion_waits_for_finalizers(objects: Objects) -> None:
    put(objects, an_execution(finalizers=["one/x"]))
    objects.delete(EXECUTIONS, "default", "a")
    held = objects.get(EXECUTIONS, "default", "a")
    assert held["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:00Z"
    assert held["metadata"]["generation"] == 2
    objects.delete(EXECUTIONS, "default", "a")
    assert objects.get(EXECUTIONS, "default", "a") == held
    with pytest.raises(Refused):
        objects.patch(EXECUTIONS, "default", "a", {"metadata": {"finalizers": ["one/x", "two/y"]}})
    answer = objects.patch(EXECUTIONS, "default", "a", {"metadata": {"finalizers": None}})
    assert answer["metadata"]["resourceVersion"] == held["metadata"]["resourceVersion"]
    with pytest.raises(Missing):
        objects.get(EXECUTIONS, "default", "a")


def test_preconditions_of_a_deletion(objects: Objects) -> None:
    made = put(objects)
    with pytest.raises(Conflict):
        objects.delete(EXECUTIONS, "default", "a", uid="nope")
    with pytest.raises(Conflict):
        objects.delete(EXECUTIONS, "default", "a", version="1")
    objects.delete(EXECUTIONS, "default", "a", uid=made["metadata"]["uid"])
    with pytest.raises(Missing):
        objects.delete(EXECUTIONS, "default", "a")


def test_namespaces_that_are_not_there(objects: Objects) -> None:
    with pytest.raises(Missing):
        objects.create(EXECUTIONS, "none", an_execution())
    objects.namespaces["ending"] = "Terminating"
    with pytest.raises(Refused) as refused:
        objects.create(EXECUTIONS, "ending", an_execution())
    assert refused.value.status == 403


def test_what_a_job_must_be(objects: Objects) -> None:
    made = objects.create(JOBS, "default", a_job())
    assert made["spec"]["backoffLimit"] == 6
    assert made["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "j"
    with pytest.raises(Refused):
        objects.create(JOBS, "default", a_job("j" * 64))
    with pytest.raises(Refused):
        objects.patch(JOBS, "default", "j", {"spec": {"template": {"metadata": {"x": "y"}}}})


def test_an_immutable_secret(objects: Objects) -> None:
    secret = {"metadata": {"name": "s"}, "immutable": True, "stringData": {"a": "b"}}
    assert objects.create(SECRETS, "default", secret)["data"] == {"a": "Yg=="}
    with pytest.raises(Refused):
        objects.patch(SECRETS, "default", "s", {"data": {"a": "Yw=="}})


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("x=1", ["a"]),
        ("x==1,y", ["a"]),
        ("x!=1", ["b", "c"]),
        ("!x", ["c"]),
        ("x", ["a", "b"]),
        ("x in (1,2)", ["a", "b"]),
        ("x notin (1),x", ["b"]),
        ("", ["a", "b", "c"]),
    ],
)
def test_label_selectors(objects: Objects, selector: str, found: list[str]) -> None:
    put(objects, an_execution("a", labels={"x": "1", "y": "1"}))
    put(objects, an_execution("b", labels={"x": "2"}))
    put(objects, an_execution("c"))
    listing = objects.listing(EXECUTIONS, "default", selector, None)
    assert [item["metadata"]["name"] for item in listing.items] == found


def test_field_selectors(objects: Objects) -> None:
    put(objects, an_execution("a"))
    put(objects, an_execution("b"))
    objects.patch(EXECUTIONS, "default", "b", {"status": {"phase": "Failed"}}, status=True)

    def names(selector: str) -> list[str]:
        listing = objects.listing(EXECUTIONS, None, None, selector)
        return [item["metadata"]["name"] for item in listing.items]

    assert names("metadata.name=a") == ["a"]
    assert names("status.phase!=Failed") == ["a"]
    with pytest.raises(Refused):
        names("spec.input=1")


def test_the_past_can_be_compacted(objects: Objects) -> None:
    made = put(objects)
    objects.compact()
    put(objects, an_execution("b"))
    assert len(objects.since(EXECUTIONS, objects.version - 1)) == 1
    with pytest.raises(Expired):
        objects.since(EXECUTIONS, int(made["metadata"]["resourceVersion"]) - 1)


def test_a_pod_on_a_node_is_given_time(objects: Objects) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "main"}], "nodeName": "n"}}
    objects.create(PODS, "default", pod)
    objects.delete(PODS, "default", "p")
    held = objects.get(PODS, "default", "p")
    assert held["metadata"]["deletionGracePeriodSeconds"] == 30
    objects.delete(PODS, "default", "p", grace_seconds=0)
    with pytest.raises(Missing):
        objects.get(PODS, "default", "p")
