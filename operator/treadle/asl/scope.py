"""What an expression may read: the data (`$`), the context object (`$$`), and chance.

One rule: an expression reads its scope and nothing else, so the same scope gives the same value.
"""

from collections.abc import Callable

from treadle.asl.chance import Chance
from treadle.asl.json import Json


class Scope:
    """The data and the context object of one evaluation.

    The context object is built when it is first read: most expressions never do.
    """

    __slots__ = ("_context", "_context_of", "chance", "data")

    def __init__(self, data: Json, context_of: Callable[[], Json], chance: Chance) -> None:
        self.data = data
        self.chance = chance
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
        return Scope(data, lambda: self.context, self.chance)
