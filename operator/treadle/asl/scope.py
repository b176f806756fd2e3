"""What an expression may read: the data (`$`), the context object (`$$`), variables, and chance.

One rule: an expression reads its scope and nothing else, so the same scope gives the same value.
"""

from collections.abc import Callable, Mapping

from treadle.asl.chance import Chance
from treadle.asl.errors import RUNTIME, EvaluationFailed
from treadle.asl.json import Json


class Effort:
    """What evaluations have cost, in nodes visited; `whole` counts what this one is a part of."""

    __slots__ = ("nodes", "nodes_max", "whole")

    def __init__(self, nodes_max: int | None = None, whole: "Effort | None" = None) -> None:
        self.nodes = 0
        self.nodes_max = nodes_max
        self.whole = whole

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
                f"The paths of the state visit more than {self.nodes_max:,} nodes of its input.",
            )


class Scope:
    """The data, the context object and the variables of one evaluation.

    The context object is built when it is first read: most expressions never do.
    """

    __slots__ = ("_context", "_context_of", "chance", "data", "effort", "variables")

    def __init__(
        self,
        data: Json,
        context_of: Callable[[], Json],
        chance: Chance,
        effort: Effort | None = None,
        variables: Mapping[str, Json] | None = None,
    ) -> None:
        self.data = data
        self.effort = effort or Effort()
        self.chance = chance
        self.variables = variables or {}
        self._context_of: Callable[[], Json] | None = context_of
        self._context: Json = None

    @property
    def context(self) -> Json:
        """The context object. Spec: "The Context Object"."""
        if self._context_of is not None:
            self._context = self._context_of()
            self._context_of = None
        return self._context

    def over(self, data: Json) -> "Scope":
        """The same context and chance over other data."""
        return Scope(data, lambda: self.context, self.chance, self.effort, self.variables)
