"""What an execution is called in AWS's terms."""

from dataclasses import replace
from datetime import UTC, datetime

from treadle.app.identify import Identities, account_of
from treadle.runtime.ports import ExecutionKey, Request

KEY = ExecutionKey("team-a", "run-1", "u")
REQUEST = Request("thumbs", "{}", "My run", datetime(2026, 1, 1, tzinfo=UTC))


def test_arns_have_the_region_the_account_and_the_aws_name() -> None:
    found = Identities("eu-west-1", "123456789012")(KEY, REQUEST)
    prefix = "arn:aws:states:eu-west-1:123456789012"
    assert found.execution_arn == f"{prefix}:execution:thumbs:My run"
    assert found.machine_arn == f"{prefix}:stateMachine:thumbs"
    assert (found.execution_name, found.machine_name) == ("My run", "thumbs")


def test_a_version_and_an_alias_end_the_arn_of_the_machine() -> None:
    found = Identities("eu-west-1", "123456789012")(KEY, replace(REQUEST, version=3, alias="live"))
    assert found.machine_arn.endswith(":stateMachine:thumbs")
    assert found.version_arn == f"{found.machine_arn}:3"
    assert found.alias_arn == f"{found.machine_arn}:live"
    plain = Identities("eu-west-1", "123456789012")(KEY, REQUEST)
    assert (plain.version_arn, plain.alias_arn) == ("", "")


def test_without_an_account_it_follows_from_the_namespace() -> None:
    found = Identities("us-east-1", "")(KEY, REQUEST)
    assert f":{account_of('team-a')}:" in found.execution_arn


def test_the_account_of_a_namespace_never_changes() -> None:
    # Recorded: an ARN that somebody has stored must stay the same in every release.
    assert account_of("default") == "984327297149"
    assert account_of("team-a") != account_of("team-b")


def test_an_account_has_twelve_digits() -> None:
    for n in range(500):
        account = account_of(f"n{n}")
        assert len(account) == 12
        assert account.isdecimal()
