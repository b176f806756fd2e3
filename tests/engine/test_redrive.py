"""Redrive: an execution that did not succeed goes on from where it halted."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.desk import BEGIN, IDENTITY, REVISION, Desk, Fails, Gives, Silent, script
from tests.support.machines import (
    Definition,
    catcher,
    chain,
    failing,
    mapping,
    parallel,
    passing,
    retrier,
    task,
    waiting,
)
from treadle.asl import document
from treadle.asl.limits import Limits
from treadle.engine.events import RedriveRequested, TaskSucceeded
from treadle.engine.execution import Execution

AGAIN = RedriveRequested()


def redriven(desk: Desk, event: RedriveRequested = AGAIN) -> Desk:
    """A desk whose execution was redriven, and ran on."""
    assert desk.tell(event)
    return desk.run()


def states_asked(desk: Desk) -> list[str]:
    """The states of all attempts so far."""
    return [asked.state for asked in desk.attempts]


# ----------------------------------------------------------------------- from where it halted


def test_a_task_is_scheduled_again_and_what_had_succeeded_is_not() -> None:
    desk = Desk(chain(A=task(), B=task(), C=task()), {"n": 1}, script(B=[Fails(), Gives("b")]))
    assert desk.run().outcome == ("FAILED", None, ("Boom", None))
    first = desk.attempts[-1]
    redriven(desk)
    assert desk.outcome == ("SUCCEEDED", "b", None)
    assert states_asked(desk) == ["A", "B", "B", "C"]
    again = desk.attempts[2]
    assert (again.parameters, again.input) == (first.parameters, first.input)
    assert again.id.entry > first.id.entry, "the name of the old attempt is taken"


def test_the_history_goes_on_as_that_of_aws_does() -> None:
    desk = Desk(chain(A=task()), {}, script(A=[Fails(), Gives(1)])).run()
    ended = desk.history()[-1].id
    redriven(desk)
    assert [(e.id, e.previous, e.type) for e in desk.history()[ended - 1 :]] == [
        (ended, ended - 1, "ExecutionFailed"),
        (ended + 1, ended, "ExecutionRedriven"),
        (ended + 2, ended + 1, "TaskScheduled"),
        (ended + 3, ended + 2, "TaskStarted"),
        (ended + 4, ended + 3, "TaskSucceeded"),
        (ended + 5, ended + 4, "TaskStateExited"),
        (ended + 6, ended + 5, "ExecutionSucceeded"),
    ]
    assert desk.history()[ended].details == {"redriveCount": 1}


def test_retriers_count_from_zero_and_the_timeout_begins_anew() -> None:
    state = task(Retry=[retrier(MaxAttempts=1, IntervalSeconds=1)])
    definition = chain(A=state) | {"TimeoutSeconds": 100}
    desk = Desk(definition, {}, script(A=Fails(after=30))).run()
    assert states_asked(desk) == ["A", "A"]
    assert desk.now == BEGIN + timedelta(seconds=61)
    redriven(desk)
    assert states_asked(desk) == ["A"] * 4, "100 seconds from the start would have cut it short"
    assert desk.outcome == ("FAILED", None, ("Boom", None))


def test_what_timed_out_as_a_whole_goes_on() -> None:
    definition = chain(A=task(), W=waiting(50), B=task()) | {"TimeoutSeconds": 20}
    desk = Desk(definition, {}, script(A=Gives(1, after=15))).run()
    assert desk.status == "TIMED_OUT"
    # AWS: a Wait of seconds waits for all of them again.
    redriven(desk)
    assert desk.status == "TIMED_OUT"
    longer = document.parse(definition | {"TimeoutSeconds": 60})
    redriven(on(desk, longer))
    assert desk.outcome == ("SUCCEEDED", 1, None)
    assert states_asked(desk) == ["A", "B"]


def test_what_was_stopped_goes_on() -> None:
    branches = [chain(A=task()), chain(W=waiting(30)), chain(P=passing(), B=task())]
    desk = Desk(chain(Both=parallel(*branches)), [1], script(B=[Silent(), Gives("b")]))
    desk.run(4)
    assert desk.stop("Why", "because")
    assert desk.outcome == ("ABORTED", None, ("Why", "because"))
    redriven(desk)
    assert desk.outcome == ("SUCCEEDED", [[1], [1], "b"], None)


def test_the_context_says_how_often_it_was_redriven_and_when() -> None:
    seen = {"n.$": "$$.Execution.RedriveCount"}
    late = {**seen, "at.$": "$$.Execution.RedriveTime"}
    definition = chain(Before=passing(Parameters=seen), A=task(), After=passing(Parameters=late))
    desk = Desk(definition, {}, script(A=[Fails(after=7), Gives(after=1)])).run()
    redriven(desk)
    assert desk.output == {"n": 1, "at": "2026-01-01T00:00:07Z"}
    inputs = [e.details["input"] for e in desk.history() if e.type == "TaskStateEntered"]
    assert inputs == [{"n": 0}]


def test_a_choice_is_evaluated_and_a_fail_fails_again() -> None:
    rule = {"Variable": "$$.Execution.RedriveCount", "NumericGreaterThan": 1, "Next": "End"}
    states = {
        "Ask": {"Type": "Choice", "Choices": [rule], "Default": "No"},
        "No": failing(),
        "End": {"Type": "Succeed"},
    }
    desk = Desk({"StartAt": "Ask", "States": states}).run()
    redriven(desk)
    redriven(desk)
    assert desk.status == "FAILED"
    assert desk.types().count("FailStateEntered") == 1, "it is in the Fail state and stays there"


def test_a_choice_without_a_match_can_be_mended() -> None:
    states: dict[str, Any] = {
        "Ask": {"Type": "Choice", "Choices": [rule_for("a")]},
        "End": {"Type": "Succeed"},
    }
    desk = Desk({"StartAt": "Ask", "States": states}, "b").run()
    assert desk.error is not None
    assert desk.error[0] == "States.NoChoiceMatched"
    states["Ask"]["Choices"].append(rule_for("b"))
    redriven(on(desk, document.parse({"StartAt": "Ask", "States": states})))
    assert desk.outcome == ("SUCCEEDED", "b", None)


def rule_for(text: str) -> dict[str, str]:
    """A rule of a Choice that matches a text."""
    return {"Variable": "$", "StringEquals": text, "Next": "End"}


# ------------------------------------------------------------------------------- what was inside


def test_only_branches_that_had_not_succeeded_go_on_each_from_where_it_was() -> None:
    branches = [
        chain(A=task()),
        chain(B1=task(), B2=task()),
        chain(C1=task(), C2=task()),
    ]
    answers = script(B2=[Fails(after=5), Gives("b")], C2=[Silent(), Gives("c")])
    desk = Desk(chain(Both=parallel(*branches)), {}, answers).run()
    redriven(desk)
    assert desk.outcome == ("SUCCEEDED", [{}, "b", "c"], None)
    assert sorted(states_asked(desk)) == ["A", "B1", "B2", "B2", "C1", "C2", "C2"]


@pytest.mark.parametrize("is_cut", [False, True])
def test_only_items_that_had_not_succeeded_run_again(is_cut: bool) -> None:
    failing_item = iter([Fails("Bad", after=1), Gives("mended")])
    desk = Desk(
        chain(Fan=mapping(chain(One=task()), MaxConcurrency=10)),
        list(range(100)),
        lambda asked: next(failing_item) if asked.parameters == 57 else Gives(asked.parameters),
        thorough=False,
    ).run()
    assert desk.outcome == ("FAILED", None, ("Bad", None))
    progress = desk.execution.progress
    assert (progress.total, progress.failed) == (100, 1)
    done = progress.done
    assert 57 < done < 100
    if is_cut:
        desk.restart()
    before = len(desk.attempts)
    redriven(desk)
    expected: list[Any] = list(range(100))
    expected[57] = "mended"
    assert desk.outcome == ("SUCCEEDED", expected, None)
    assert len(desk.attempts) - before == 100 - done
    progress = desk.execution.progress
    assert progress.done == progress.total == 100


def test_a_map_in_a_map_keeps_what_had_succeeded_in_each() -> None:
    answers = iter([Fails(after=1), Gives("mended")])
    desk = Desk(
        chain(Out=mapping(chain(In=mapping(chain(One=task()))))),
        [[1, 2], [3, 4]],
        lambda asked: next(answers) if asked.parameters == 4 else Gives(asked.parameters),
    ).run()
    redriven(desk)
    assert desk.output == [[1, 2], [3, "mended"]]
    assert [asked.parameters for asked in desk.attempts] == [1, 2, 3, 4, 4]


def test_what_is_retried_or_caught_is_not_kept() -> None:
    inner = parallel(chain(A=task()), chain(B=task()), Retry=[retrier(MaxAttempts=1)])
    desk = Desk(chain(Both=inner), {}, script(B=[Fails(), Fails(), Gives("b")])).run()
    redriven(desk)
    assert states_asked(desk).count("A") == 2, "once for each time that the whole began"
    states = {
        "Fan": mapping(chain(One=task()), Catch=[catcher("Then")], End=True),
        "Then": task(End=True),
    }
    answers = script(One=Fails(), Then=[Fails(), Gives("then")])
    desk = Desk({"StartAt": "Fan", "States": states}, [1, 2], answers).run()
    redriven(desk)
    assert desk.outcome == ("SUCCEEDED", "then", None)
    assert [state for state in states_asked(desk) if state == "Then"] == ["Then", "Then"]
    assert not desk.execution.memory.halted


def test_what_fails_with_its_children_done_finishes_again() -> None:
    broken = chain(Fan=mapping(chain(One=task()), ResultSelector={"first.$": "$[7]"}))
    desk = Desk(broken, [1, 2]).run()
    assert desk.status == "FAILED"
    mended = chain(Fan=mapping(chain(One=task()), ResultSelector={"first.$": "$[1]"}))
    redriven(on(desk, document.parse(mended)))
    assert desk.outcome == ("SUCCEEDED", {"first": 2}, None)
    assert len(desk.attempts) == 2


def test_what_gave_too_much_begins_anew() -> None:
    limits = Limits(payload_bytes_max=400)
    sizes = iter([300, 300, 10, 10])
    desk = Desk(
        chain(Fan=mapping(chain(One=task()))),
        [1, 2],
        lambda _: Gives("x" * next(sizes)),
        limits=limits,
    ).run()
    assert desk.error is not None
    assert desk.error[0] == "States.DataLimitExceeded"
    redriven(desk)
    assert desk.output == ["x" * 10, "x" * 10]


def distributed(processor: Definition, **members: Any) -> Definition:
    """A machine of one distributed Map."""
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    return chain(Fan=mapping(processor | {"ProcessorConfig": config}, Label="Fan", **members))


def test_a_map_run_runs_what_failed_again_also_what_was_tolerated() -> None:
    bad = {3: 2, 5: 1, 8: 2}  # items, and how often each fails

    def answer(asked: Any) -> Any:
        item = asked.parameters
        if bad.get(item, 0):
            bad[item] -= 1
            return Fails("Bad", after=item)
        return Gives(item)

    definition = distributed(chain(One=task()), ToleratedFailureCount=2)
    desk = Desk(definition, list(range(10)), answer).run()
    assert desk.error is not None
    assert desk.error[0] == "States.ExceedToleratedFailureThreshold"
    progress = desk.execution.progress
    assert (progress.done, progress.total, progress.failed) == (9, 10, 3)
    desk.restart()
    redriven(desk)
    assert desk.status == "SUCCEEDED"
    output: Any = desk.output
    assert [v if isinstance(v, int) else v["Status"] for v in output] == [
        *range(3),
        "FAILED",
        *range(4, 8),
        "FAILED",
        9,
    ]
    assert sorted(asked.parameters for asked in desk.attempts[10:]) == [3, 5, 8]
    assert desk.types().count("MapRunRedriven") == 1
    progress = desk.execution.progress
    assert (progress.done, progress.total) == (10, 10)


def test_a_child_of_a_map_run_that_gave_too_much_begins_anew() -> None:
    sizes = iter([300, 300, 10, 10])
    inner = chain(In=parallel(chain(A=task()), chain(B=task())))
    desk = Desk(
        distributed(inner),
        [1],
        lambda _: Gives("x" * next(sizes)),
        limits=Limits(payload_bytes_max=400),
    ).run()
    assert desk.status == "FAILED"
    redriven(desk)
    assert desk.output == [["x" * 10, "x" * 10]]


def test_each_map_run_counts_in_a_full_history() -> None:
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    branches = []
    for number in range(20):
        inner = chain(**{f"T{number}": task()}) | {"ProcessorConfig": config}
        branches.append(chain(**{f"M{number}": mapping(inner, Label=f"M{number}")}))
    limits = Limits(history_events_max=160)
    desk = Desk(chain(All=parallel(*branches)), [1], lambda _: Silent(), limits=limits).run()
    desk.stop()
    while desk.tell(AGAIN):
        desk.stop()
    assert 130 < desk.execution.memory.history.next_id <= 161
    assert "historyEventsMax allows 160" in desk.execution.objections(AGAIN)[0]


def test_results_in_pages_are_kept() -> None:
    answers = iter([Fails(after=9), Gives("mended")])
    desk = Desk(
        chain(Fan=mapping(chain(One=task()))),
        list(range(40)),
        lambda asked: next(answers) if asked.parameters == 20 else Gives("x" * 3000),
        thorough=False,
    )
    while not desk.over:
        desk.step()
        desk.save()
    desk.restart()
    redriven(desk)
    expected = ["x" * 3000] * 40
    expected[20] = "mended"
    assert desk.output == expected
    assert len(desk.attempts) == 41


def test_an_answer_of_an_attempt_before_changes_nothing() -> None:
    desk = Desk(chain(A=task(), B=task()), {}, script(A=Silent()))
    desk.run()
    old = desk.only
    desk.stop()
    assert desk.tell(AGAIN)
    assert not desk.tell(TaskSucceeded(old, "1", desk.now))
    assert desk.only != old


def test_with_another_revision_its_name_is_told() -> None:
    desk = Desk(chain(A=task()), {}, script(A=[Fails(), Gives(1)])).run()
    redriven(desk, RedriveRequested(revision="m-2", by="ada"))
    (told,) = [each for each in desk.history() if each.type == "ExecutionRedriven"]
    assert told.details == {"redriveCount": 1, "revision": "m-2", "by": "ada"}


def test_while_suspended_it_goes_on_only_when_resumed() -> None:
    desk = Desk(chain(A=task()), {}, script(A=[Fails(), Gives(1)])).run()
    assert desk.tell(RedriveRequested(suspended=True, suspended_by="ada", by="bob"))
    assert (desk.status, desk.wanted) == ("RUNNING", [])
    redrive, suspension = desk.history()[-2:]
    assert (redrive.type, redrive.details) == (
        "ExecutionRedriven",
        {"redriveCount": 1, "by": "bob"},
    )
    assert (suspension.type, suspension.details) == ("ExecutionSuspended", {"by": "ada"})
    desk.suspend(False)
    assert desk.run().output == 1


def test_one_that_stays_suspended_is_not_suspended_again() -> None:
    desk = Desk(chain(A=task()), {}, script(A=Gives(1)))
    desk.suspend()
    desk.stop()
    desk.tell(RedriveRequested(suspended=True))
    desk.stop()
    desk.tell(RedriveRequested(suspended=False))
    assert [
        each for each in desk.types() if each in ("ExecutionSuspended", "ExecutionResumed")
    ] == [
        "ExecutionSuspended",
        "ExecutionResumed",
    ]
    assert desk.run().output == 1


# --------------------------------------------------------------------------------- beyond AWS


def test_from_a_chosen_state_with_an_input() -> None:
    desk = Desk(chain(A=task(), B=task(), C=task()), {}, script(C=[Fails(), Gives("c")])).run()
    redriven(desk, RedriveRequested(state="A", input='{"n": 2}'))
    assert desk.output == "c"
    assert states_asked(desk) == ["A", "B", "C", "A", "B", "C"]
    assert desk.attempts[-1].parameters == {"n": 2}
    entered = [e for e in desk.history() if e.type == "TaskStateEntered"]
    assert entered[3].details == {"name": "A", "input": {"n": 2}}


def test_with_another_input_the_state_that_failed_is_entered_anew() -> None:
    desk = Desk(
        chain(Fan=mapping(chain(One=task()))),
        [1, 2],
        lambda asked: Fails(after=1) if asked.parameters == 2 else Gives(asked.parameters),
    ).run()
    redriven(desk, RedriveRequested(input="[3, 4]"))
    assert desk.output == [3, 4]
    progress = desk.execution.progress
    assert progress.done == progress.total == 2


def test_items_inside_branches_are_counted_no_longer() -> None:
    branches = [chain(In=mapping(chain(One=task()))), chain(B=task())]
    answers = script(One=[Gives(), Gives(), Silent(), Gives()], B=[Fails(after=1), Gives()])
    desk = Desk(chain(Both=parallel(*branches)), [1, 2, 3], answers)
    redriven(desk.run(), RedriveRequested(input="[1]"))
    progress = desk.execution.progress
    assert (desk.status, progress.done, progress.total) == ("SUCCEEDED", 1, 1)


def test_with_other_variables() -> None:
    states = chain(
        A=passing(Assign={"limit": 1, "other": 2}),
        B=task(Parameters={"limit.$": "$limit", "other.$": "$other"}),
    )
    desk = Desk(states, {}, script(B=[Fails(), Gives(1)])).run()
    redriven(desk, RedriveRequested(variables={"limit": 5}))
    assert desk.attempts[-1].parameters == {"limit": 5, "other": 2}


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (RedriveRequested(state="X", input="1"), "/from: 'X' is not one of the machine's"),
        (RedriveRequested(state="One", input="1"), "/from: 'One' is not one of the"),
        (RedriveRequested(state="A"), "/input: it is missing"),
        (RedriveRequested(input='"' + "x" * 300_000 + '"'), "/input: it has 300002 bytes"),
        (RedriveRequested(input="{"), "/input: it is not JSON: "),
        (RedriveRequested(input="[" * 9_000 + "]" * 9_000), "/input: it is not JSON: nested too"),
        (RedriveRequested(variables={"v": "x" * 300_000}), "/variables: "),
        (RedriveRequested(variables={"a b": 1}), "/variables: 'a b' cannot be the name of a"),
    ],
)
def test_what_cannot_be_done_is_said(event: RedriveRequested, said: str) -> None:
    definition = chain(A=passing(), Fan=mapping(chain(One=task())))
    limits = Limits(payload_bytes_max=262_144, variable_bytes_max=262_144)
    desk = Desk(definition, [1], script(One=Fails()), limits=limits)
    desk.run()
    (sentence,) = desk.execution.objections(event)
    assert said in sentence
    assert not desk.tell(event)


def test_what_succeeded_or_runs_is_not_redriven() -> None:
    desk = Desk(chain(A=task()))
    assert desk.execution.objections(AGAIN) == ["the execution has not ended"]
    assert not desk.tell(AGAIN)
    desk.run()
    assert "succeeded" in desk.execution.objections(AGAIN)[0]
    assert not desk.tell(AGAIN)


def test_a_full_history_takes_no_redrive() -> None:
    limits = Limits(history_events_max=8)
    desk = Desk(chain(*[passing()] * 9), limits=limits).run()
    assert "historyEventsMax allows 8" in desk.execution.objections(AGAIN)[0]


def test_what_an_older_release_left_is_not_redriven() -> None:
    desk = Desk(chain(A=failing())).run()
    desk.execution.memory.halted.clear()
    assert "under a release that did not keep" in desk.execution.objections(AGAIN)[0]


# ----------------------------------------------------------------------- on another definition


def on(desk: Desk, program: Any) -> Desk:
    """The desk's execution, over to another program."""
    old = desk.execution
    desk.program = program
    desk.execution = Execution(
        program, REVISION, IDENTITY, old.memory, desk.limits, desk.stopwatch, desk.evaluator
    )
    return desk


def misfits(before: Definition, after: Definition, given: Any, **answers: Any) -> list[str]:
    """What does not fit an execution of one definition in the other."""
    desk = Desk(before, given, script(**answers), thorough=False).run()
    assert desk.status == "FAILED"
    program = document.parse(after)
    return on(desk, program).execution.objections(AGAIN, ran=before)


def test_a_mended_task_runs_as_the_new_definition_has_it() -> None:
    before = chain(A=passing(), Fan=mapping(chain(One=task())))
    after = chain(Fan=mapping(chain(One=task(Parameters={"fixed": True}), Two=passing())))
    after["States"]["A"] = passing(Next="Fan")
    assert misfits(before, after, [1, 2], One=Fails()) == []
    desk = Desk(before, [1, 2], script(One=[Fails(), Gives("two")])).run()
    redriven(on(desk, document.parse(after)))
    assert desk.output == ["two", "two"]
    assert desk.attempts[-1].parameters == {"fixed": True}


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (chain(Other=passing()), ["/States/Fan: the execution halted in the state 'Fan', which"]),
        (chain(Fan=passing()), ["/States/Fan/Type: it is Pass and was Map"]),
        (
            chain(Fan=mapping(chain(Two=task()))),
            ["/States/Fan/ItemProcessor/States/One: the execution halted in the state 'One'"],
        ),
        (
            chain(Fan=mapping(chain(One=task()), ItemsPath="$.x", ItemSelector={"a": 1})),
            [
                "/States/Fan/ItemSelector: it decides what the children are given",
                "/States/Fan/ItemsPath: it decides what the children are given",
            ],
        ),
        (
            distributed(chain(One=task())),
            ["/States/Fan/ItemProcessor/ProcessorConfig/Mode: it is DISTRIBUTED", "/States/Fan/La"],
        ),
    ],
)
def test_what_does_not_fit_is_said(after: Definition, said: list[str]) -> None:
    before = chain(Fan=mapping(chain(One=task())))
    found = misfits(before, after, [1, 2, 3], One=Fails())
    assert len(found) == len(said)
    for sentence, start in zip(found, said, strict=True):
        assert sentence.startswith(start)


def test_a_parallel_keeps_its_number_of_branches() -> None:
    before = chain(Both=parallel(chain(A=task()), chain(B=task())))
    after = chain(Both=parallel(chain(A=task()), chain(B=task()), chain(C=task())))
    found = misfits(before, after, {}, B=Fails())
    assert found == ["/States/Both/Branches: they are 3 and were 2"]
    moved = chain(Both=parallel(chain(B=task()), chain(A=task())))
    found = misfits(before, moved, {}, B=Fails(after=1))
    assert found == [
        "/States/Both/Branches/1/States/B: the execution halted in the state 'B', "
        "which is not there"
    ]


def test_an_inherited_language_decides_too() -> None:
    selector = {"a": "{% $states.context.Map.Item.Value %}"}
    before = chain(Fan=mapping(chain(One=task()), ItemSelector=selector))
    found = misfits(before, before | {"QueryLanguage": "JSONata"}, [1, 2], One=Fails())
    assert found == [
        "/States/Fan/QueryLanguage: it decides what the children are given, and is another"
    ]


@pytest.mark.parametrize(
    ("member", "value"),
    [("MaxConcurrencyPath", "$.n"), ("ToleratedFailureCountPath", "$.n")],
)
def test_what_would_be_evaluated_again_stays_as_it_was(member: str, value: str) -> None:
    before = distributed(chain(One=task()))
    found = misfits(before, distributed(chain(One=task()), **{member: value}), [1], One=Fails())
    assert found == [f"/States/Fan/{member}: only a number may take the place of what it was"]


def test_another_concurrency_counts_at_once() -> None:
    before = chain(Fan=mapping(chain(One=task()), MaxConcurrency=1))
    desk = Desk(before, [1, 2, 3, 4], script(One=[Fails(), Silent()])).run()
    on(desk, document.parse(chain(Fan=mapping(chain(One=task()), MaxConcurrency=3))))
    assert desk.tell(AGAIN)
    assert len(desk.wanted) == 3


def test_what_decides_about_children_is_free_where_there_were_none() -> None:
    before = chain(Fan=mapping(chain(One=task()), ItemSelector={"a.$": "$.nope"}))
    after = chain(Fan=mapping(chain(Other=task()), ItemSelector={"a": 1}))
    assert misfits(before, after, [1, 2]) == []
    desk = Desk(before, [1, 2]).run()
    redriven(on(desk, document.parse(after)))
    assert desk.output == [{"a": 1}, {"a": 1}]


def test_from_a_chosen_state_only_that_one_must_be_there() -> None:
    before = chain(A=task(), Fan=mapping(chain(One=task())))
    after = chain(A=task(), New=task())
    desk = Desk(before, [1], script(One=Fails())).run()
    redriven(on(desk, document.parse(after)), RedriveRequested(state="New", input="[7]"))
    assert desk.output == [7]
