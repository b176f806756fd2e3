"""The machines whose histories and snapshots are kept for ever.

One rule: a machine here is never changed once a release has it; a new thought is a new machine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.desk import Desk, Fails, Gives, Script, Silent, echo, script
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
from tests.support.texts import incompressible


def to_the_end(desk: Desk) -> None:
    """Nothing but the world."""
    desk.run()


@dataclass(frozen=True, slots=True)
class Golden:
    """A machine, its input, its world, and what people do."""

    definition: Definition
    given: Any = None
    answer: Script = echo
    drive: Callable[[Desk], None] = to_the_end


def _stopped(desk: Desk) -> None:
    desk.step()
    desk.tick(5)
    desk.stop("Enough", "said a person")


def _suspended(desk: Desk) -> None:
    desk.step()
    desk.suspend()
    desk.step()
    desk.tick(60)
    desk.suspend(False)
    desk.run()


def _with(start: str, **states: Any) -> Definition:
    return {"StartAt": start, "States": states}


_CHOICE = {
    "Type": "Choice",
    "Choices": [{"Variable": "$.n", "NumericGreaterThan": 10, "Next": "Large"}],
    "Default": "Small",
}
_FILES = mapping(
    chain(
        Count=task(
            Parameters={"file.$": "$.file", "total.$": "$$.Execution.Input.files"},
            Retry=[retrier("Flaky", IntervalSeconds=2)],
            TimeoutSeconds=30,
        ),
        Keep=passing(Parameters={"words.$": "$.file"}),
    ),
    ItemsPath="$.files",
    ItemSelector={"file.$": "$$.Map.Item.Value", "index.$": "$$.Map.Item.Index"},
    MaxConcurrency=2,
    ResultPath="$.counts",
)

GOLDEN: dict[str, Golden] = {
    "passing": Golden(
        chain(Hello=passing(Result={"greeting": "hello"}, ResultPath="$.said"), Bye=passing()),
        {"name": "Ada"},
    ),
    "choosing": Golden(
        _with(
            "Ask", Ask=_CHOICE, Large=passing(Result="large", End=True), Small=failing("TooSmall")
        ),
        {"n": 11},
    ),
    "waiting": Golden(chain(Wait=waiting(90), Then={"Type": "Succeed"}), {"tea": "green"}),
    "working": Golden(
        chain(
            Work=task(Resource="arn:aws:states:::sqs:sendMessage", Parameters={"Body.$": "$.m"}),
            Call=task(Resource="arn:aws:lambda:us-east-1:111111111111:function:f"),
        ),
        {"m": "hi"},
    ),
    "retrying": Golden(
        chain(Work=task(Retry=[retrier("Flaky", IntervalSeconds=3, MaxAttempts=2)])),
        answer=script(Work=[Fails("Flaky", "once"), Fails("Flaky", "twice"), Gives("done")]),
    ),
    "catching": Golden(
        _with(
            "Work",
            Work=task(
                Retry=[retrier("Flaky", MaxAttempts=1)],
                Catch=[catcher("Mend", "Flaky", ResultPath="$.error")],
                End=True,
            ),
            Mend=passing(End=True),
        ),
        {"order": 7},
        script(Work=Fails("Flaky", "again")),
    ),
    "too-slow": Golden(
        chain(Work=task(TimeoutSeconds=10, Retry=[retrier("States.Timeout", MaxAttempts=1)])),
        answer=script(Work=Silent()),
    ),
    "side-by-side": Golden(
        chain(
            Both=parallel(
                chain(Left=task(), Left2=waiting(4)),
                chain(Right=task(Retry=[retrier(IntervalSeconds=1)])),
                ResultPath="$.both",
            )
        ),
        {"x": 1},
        script(Left=Gives("l", after=1), Right=[Fails("E", after=2), Gives("r", after=1)]),
    ),
    "one-branch-fails": Golden(
        _with(
            "All",
            All=parallel(
                chain(Fails=task()),
                chain(Runs=task()),
                chain(Waits=waiting(100)),
                chain(Deep=mapping(chain(Item=task()))),
                Catch=[catcher("Caught")],
                End=True,
            ),
            Caught=passing(End=True),
        ),
        [1, 2],
        script(Fails=Fails("Broken", "a bone", after=3), Runs=Silent(), Item=Silent()),
    ),
    "mapping": Golden(
        chain(Files=_FILES),
        {"files": ["a", "b", "c", "d"]},
        script(Count=[Gives({"file": 3}, after=2), Fails("Flaky"), Gives({"file": 5}, after=1)]),
    ),
    "a-map-again": Golden(
        chain(Items=mapping(chain(Item=task()), Retry=[retrier(IntervalSeconds=5)])),
        [1, 2, 3],
        script(Item=[Gives("a"), Fails("E"), Gives("b"), Gives("c", after=1), Gives("d")]),
    ),
    "nested": Golden(
        chain(
            Outer=mapping(
                chain(Inner=mapping(chain(Each=parallel(chain(One=task()), chain(Two=passing())))))
            )
        ),
        [[1], [], [2, 3]],
    ),
    "large": Golden(
        chain(
            Many=mapping(chain(Item=task()), MaxConcurrency=3),
            First=passing(OutputPath="$[0]"),
        ),
        list(range(5)),
        lambda asked: Gives(incompressible(6_000, asked.id.entry + 1), after=1),
    ),
    "stopped": Golden(
        chain(Work=parallel(chain(A=task()), chain(B=waiting(50)))),
        answer=script(A=Silent()),
        drive=_stopped,
    ),
    "suspended": Golden(
        chain(A=task(), B=waiting(30), C=task()),
        answer=script(A=Gives(1, after=1)),
        drive=_suspended,
    ),
    "out-of-time": Golden(
        {**chain(Work=task(), Wait=waiting(100)), "TimeoutSeconds": 20}, {"x": 1}
    ),
}
