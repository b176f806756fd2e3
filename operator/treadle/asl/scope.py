"""What an expression may read: the data (`$`), the context object (`$$`), variables, and chance.

One rule: an expression reads its scope and nothing else, so the same scope gives the same value.
"""

from collections.abc import Callable, Mapping

from treadle.asl.chance import Chance
from treadle.asl.errors import RUNTIME, EvaluationFailed
from treadle.asl.evaluator import Evaluator
from treadle.asl.json import Json
from treadle.asl.limits import AGAIN_SECONDS_MAX, EXPRESSION_SECONDS_MAX, VISIT_SECONDS_MAX


class Effort:
    """What evaluations have cost, in nodes visited; `whole` counts what this one is a part of.

    `stopwatch` gives seconds of work, of which there may be `seconds_max`: a far backstop for
    JSONata, whose engine does not count all that it does. Without it only the counts decide.
    `again` is an effort for what was evaluated before: it was accepted then, so that time decides
    nothing now. `evaluator` makes evaluations of JSONata; without it they are made here.
    """

    __slots__ = (
        "_began",
        "_seconds_max",
        "_stopwatch",
        "again",
        "evaluator",
        "nodes",
        "nodes_max",
        "whole",
    )

    def __init__(
        self,
        nodes_max: int | None = None,
        whole: "Effort | None" = None,
        stopwatch: Callable[[], float] | None = None,
        evaluator: Evaluator | None = None,
        *,
        seconds_max: float = VISIT_SECONDS_MAX,
        again: bool = False,
    ) -> None:
        self.nodes = 0
        self.nodes_max = nodes_max
        self.whole = whole
        self.evaluator = evaluator
        self.again = again
        self._seconds_max = seconds_max
        self._stopwatch = stopwatch
        self._began = stopwatch() if stopwatch is not None else 0.0

    def spend(self, nodes: int) -> None:
        """Count visited nodes.

        Raises:
            EvaluationFailed: more than `nodes_max`.
        """
        self.nodes += nodes
        if self.whole is not None:
            self.whole.spend(nodes)
        if self.nodes_max is not None and self.nodes > self.nodes_max:
            raise EvaluationFailed(
                RUNTIME,
                "The paths and expressions of the state cost more than visiting "
                f"{self.nodes_max:,} nodes of its input does.",
            )

    @property
    def seconds(self) -> float:
        """How long it took so far; 0 without a stopwatch."""
        return 0.0 if self._stopwatch is None else self._stopwatch() - self._began

    def seconds_left(self) -> float:
        """How long the next expression may take. Raises: EvaluationFailed."""
        if self.again:
            return AGAIN_SECONDS_MAX
        if self._stopwatch is None:
            return EXPRESSION_SECONDS_MAX
        left = self._seconds_max - self.seconds
        if left <= 0:
            raise out_of_seconds()
        return min(left, EXPRESSION_SECONDS_MAX)


def out_of_seconds() -> EvaluationFailed:
    """The failure of a visit whose expressions take too long, whichever of them is the last."""
    sentence = f"The expressions of the state take more than {VISIT_SECONDS_MAX} s."
    return EvaluationFailed(RUNTIME, sentence)


class Scope:
    """The data, the context object and the variables of one evaluation.

    The context object is built when it is first read: most expressions never do.

    Attributes:
        data: what `$` means in JSONPath, `$states.input` in JSONata.
        produced: further members of `$states`: `result` or `errorOutput`.
        now_ms: what `$now` and `$millis` say, in milliseconds since 1970.
    """

    __slots__ = (
        "_context",
        "_context_of",
        "chance",
        "data",
        "effort",
        "now_ms",
        "produced",
        "variables",
    )

    def __init__(
        self,
        data: Json,
        context_of: Callable[[], Json],
        chance: Chance,
        effort: Effort | None = None,
        variables: Mapping[str, Json] | None = None,
        produced: Mapping[str, Json] | None = None,
        now_ms: int = 0,
    ) -> None:
        self.data = data
        self.effort = effort or Effort()
        self.chance = chance
        self.variables = variables or {}
        self.produced = produced or {}
        self.now_ms = now_ms
        self._context_of: Callable[[], Json] | None = context_of
        self._context: Json = None

    @property
    def context(self) -> Json:
        """The context object. Spec: "The Context Object"."""
        if self._context_of is not None:
            self._context = self._context_of()
            self._context_of = None
        return self._context
