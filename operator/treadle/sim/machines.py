"""Random small state machines whose outcome does not depend on timing.

One rule: in a fork at most one branch can fail, loops are bounded by their data, and a task either
never ends or has time enough: so that status, output and error are the same in every world.
"""

import json
import random
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from treadle.sim import errands
from treadle.sim.nesting import STARTS, alone, hanging, retrier, starting
from treadle.sim.questions import asking

DISRUPTIONS = (
    "Kubernetes.PodDeleted",
    "Kubernetes.JobDeleted",
    "Kubernetes.Evicted",
    "Kubernetes.ResultLost",
)
"""What a person or a drain does to a task; a `fragile` task retries it."""

Deed: TypeAlias = Literal["", "stop", "delete"]
_DEEDS: tuple[Deed, ...] = ("", "stop", "delete", "delete")

_ENOUGH_SECONDS = 3600
_FOR_EVER_SECONDS = 10_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """A definition with an input.

    Attributes:
        fails: whether its first list of states ends with an error, as far as the generator knows.
        deed: what a person does to its Execution, `deed_seconds` after its start. Machines of which
            something is done never end of themselves, so that the outcome does not depend on when.
        children: machines that it starts, by name.
    """

    definition: dict[str, Any]
    input: Any
    fails: bool
    deed: Deed = ""
    deed_seconds: float = 0.0
    children: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class _Steps:
    """A list of states while it is being written."""

    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    start: str = ""
    open: list[dict[str, Any]] = field(default_factory=list)  # states that still need their Next
    fails: bool = False

    def add(self, name: str, state: dict[str, Any]) -> dict[str, Any]:
        for earlier in self.open:
            earlier["Next"] = name
        self.open = [state]
        self.start = self.start or name
        self.states[name] = state
        return state

    def closed(self) -> dict[str, Any]:
        for state in self.open:
            if state["Type"] not in ("Succeed", "Fail"):
                state["End"] = True
        return {"StartAt": self.start, "States": self.states}


class Generator:
    """Writes one definition from its dice. `tasks_max` bounds its size."""

    def __init__(self, dice: random.Random, tasks_max: int = 6) -> None:
        self._dice = dice
        self._tasks = tasks_max
        self._names = 0
        self._children: dict[str, dict[str, Any]] = {}

    def sample(self) -> Sample:
        """A definition and an input for it."""
        steps = self._list(depth=0, may_fail=True)
        definition: dict[str, Any] = steps.closed()
        if self._dice.random() < 0.1:
            definition["TimeoutSeconds"] = _ENOUGH_SECONDS
        value = {"v": self._dice.randint(0, 9)}
        return Sample(definition, value, steps.fails, children=self._children)

    def endless(self) -> Sample:
        """A definition that ends by what is done to it only, or by its own TimeoutSeconds."""
        steps = self._list(depth=0, may_fail=False)
        name, rest = self._name("Endless"), self._name("Rest")
        tasks = _Steps()
        for number in range(self._dice.randint(1, 2)):
            tasks.add(f"{name}-{number}", hanging(DISRUPTIONS))
        resting = {rest: {"Type": "Wait", "Seconds": _FOR_EVER_SECONDS, "End": True}}
        branches = [tasks.closed(), {"StartAt": rest, "States": resting}]
        if self._dice.random() < 0.5:
            branches.append(self._endless_child())
        steps.add(name, {"Type": "Parallel", "Branches": branches})
        definition = steps.closed()
        deed: Deed = self._dice.choice(_DEEDS)
        seconds = self._dice.choice((0.0, 1.0, 5.0, 20.0, 60.0)) * self._dice.random()
        if not deed:
            definition["TimeoutSeconds"] = self._dice.choice((10, 30, 60))
        value = {"v": self._dice.randint(0, 9)}
        return Sample(definition, value, False, deed, seconds, self._children)

    def _list(self, depth: int, may_fail: bool) -> _Steps:
        steps = _Steps()
        for _ in range(self._dice.randint(1, 4 - depth)):
            self._step(steps, depth, may_fail)
        if not steps.states:
            self._pass(steps)
        if may_fail and not steps.fails and self._dice.random() < 0.12:
            name = self._name("Fail")
            steps.add(name, {"Type": "Fail", "Error": f"Sim.{name}", "Cause": "as scripted"})
            steps.fails = True
        return steps

    def _step(self, steps: _Steps, depth: int, may_fail: bool) -> None:
        may_fail = may_fail and not steps.fails
        kinds = ["job"] * 5 + ["http"] * 2 + ["activity"] * 2 + ["callback", "approval"]
        kinds += ["wait", "pass", "choice", "loop"]
        kinds += ["child"] * 2 if depth < 2 else []
        if depth < 2:
            kinds += ["parallel", "map", "map"]
        if self._tasks <= 0:
            kinds = ["wait", "pass", "choice"]
        kind = self._dice.choice(kinds)
        if kind in ("parallel", "map"):
            write = self._parallel if kind == "parallel" else self._map
            write(steps, depth, may_fail)
        elif kind in ("job", "http"):
            task = self._job if kind == "job" else self._http
            task(steps, may_fail)
        elif kind == "child":
            self._child(steps, depth)
        elif kind in ("callback", "approval", "activity"):
            {"callback": self._callback, "approval": self._approval, "activity": self._activity}[
                kind
            ](steps)
        else:
            {"pass": self._pass, "choice": self._choice, "loop": self._loop, "wait": self._wait}[
                kind
            ](steps)

    def _name(self, kind: str) -> str:
        self._names += 1
        return f"{kind}{self._names}"

    # ----------------------------------------------------------------------------------- states

    def _wait(self, steps: _Steps) -> None:
        seconds = self._dice.choice((0, 1, 3, 20))
        steps.add(self._name("Wait"), {"Type": "Wait", "Seconds": seconds})

    def _pass(self, steps: _Steps) -> None:
        name = self._name("Pass")
        if self._dice.random() < 0.4:
            own = f"{{'{name}': {{'v': $states.input.v, 'doubled': 2 * $states.input.v}}}}"
            merged = f"{{% $merge([$states.input, {own}]) %}}"
            steps.add(name, {"Type": "Pass", "QueryLanguage": "JSONata", "Output": merged})
            return
        template = {"v.$": "$.v", "doubled.$": "States.MathAdd($.v, $.v)"}
        steps.add(name, {"Type": "Pass", "Parameters": template, "ResultPath": f"$.{name}"})

    def _job(self, steps: _Steps, may_fail: bool) -> None:
        self._tasks -= 1
        name = self._name("Job")
        script: dict[str, Any] = {"seconds": self._dice.choice((0, 0, 0.5, 2, 10))}
        if self._dice.random() < 0.5:
            script["echoInput"] = True
        else:
            script["message"] = json.dumps({"by": name, "n": self._dice.randint(0, 99)})
        if self._dice.random() < 0.3:
            script["termExitCode"] = 0
        state: dict[str, Any] = {
            "Type": "Task",
            "Resource": "treadle:job",
            "InputPath": "$.v",
            "ResultPath": f"$.{name}",
        }
        self._trouble(steps, name, state, script, may_fail)
        command = ["pretend", json.dumps(script, separators=(",", ":"))]
        state["Parameters"] = {"image": "busybox:1.36", "command": command}

    def _http(self, steps: _Steps, may_fail: bool) -> None:
        self._tasks -= 1
        name = self._name("Http")
        script: dict[str, Any] = {
            "body": {"by": name},
            "seconds": self._dice.choice((0, 0, 0.2, 3)),
        }
        state: dict[str, Any] = {
            "Type": "Task",
            "Resource": "treadle:http",
            "ResultPath": f"$.{name}",
            "ResultSelector": {"status.$": "$.StatusCode", "body.$": "$.ResponseBody"},
        }
        self._trouble(steps, name, state, script, may_fail)
        if "exitCode" in script:
            script["status"] = self._dice.choice((400, 404, 500))
            del script["exitCode"]
        state["Parameters"] = {
            "ApiEndpoint": f"http://service.default/{name}",
            "Method": "POST",
            # What makes this visit different from others of the same state.
            "RequestBody": {"pretend": script, "v.$": "$.v"},
        }

    def _callback(self, steps: _Steps) -> None:
        """A call that hands on its token, and waits for whoever has it."""
        self._tasks -= 1
        name = self._name("Callback")
        script: dict[str, Any] = {
            "output": {"by": name, "n": self._dice.randint(0, 99)},
            "seconds": self._dice.choice((0, 0.01, 2, 30)),
        }
        parameters = {
            "ApiEndpoint": f"http://service.default/{name}",
            "Method": "POST",
            "RequestBody": {
                "pretend": {"callback": script, "seconds": self._dice.choice((0, 0, 1))},
                "v.$": "$.v",
                "token.$": "$$.Task.Token",
            },
        }
        state: dict[str, Any] = {
            "Type": "Task",
            "Resource": "treadle:http.waitForTaskToken",
            "Parameters": parameters,
            "ResultPath": f"$.{name}",
        }
        if self._dice.random() < 0.3:
            script["failTimes"] = self._dice.randint(1, 2)
            state["Retry"] = [retrier(["Sim.Again"], attempts=10)]
        if self._dice.random() < 0.3:
            script["beats"] = self._dice.randint(1, 3)
            state["HeartbeatSeconds"] = _ENOUGH_SECONDS
        steps.add(name, state)

    def _activity(self, steps: _Steps) -> None:
        self._tasks -= 1
        name = self._name("Activity")
        steps.add(name, errands.asking(name, self._dice))

    # --------------------------------------------------------------------------------- children

    def _machine(self, definition: dict[str, Any]) -> str:
        """Another machine, by its name."""
        # Several samples share a world, and a namespace.
        name = f"c{len(self._children)}-{self._dice.randrange(10**9)}"
        self._children[name] = definition
        return name

    def _child(self, steps: _Steps, depth: int) -> None:
        """A machine of its own, which is waited for or not; people delete what is `fragile`."""
        self._tasks -= 1
        name = self._name("Child")
        resource = self._dice.choice(STARTS)
        trouble = self._dice.random()
        if ".sync" in resource and trouble < 0.3:
            self._fatal_child(steps, name, resource, hangs=trouble < 0.15)
            return
        machine = self._machine(self._list(depth + 1, may_fail=False).closed())
        state = starting(resource, machine, fragile=self._dice.random() < 0.5)
        steps.add(name, {**state, "ResultPath": f"$.{name}"})

    def _fatal_child(self, steps: _Steps, name: str, resource: str, *, hangs: bool) -> None:
        fails = {"Type": "Fail", "Error": f"Sim.{name}", "Cause": "as scripted"}
        definition = alone(name, hanging(DISRUPTIONS))
        if not hangs:
            definition = {"StartAt": name, "States": {name: fails}}
        state = starting(resource, self._machine(definition))
        if hangs:
            state["TimeoutSeconds"] = self._dice.choice((5, 15, 40))
        state = steps.add(name, {**state, "ResultPath": f"$.{name}"})
        self._caught(steps, name, state, "States.ALL")

    def _caught(self, steps: _Steps, name: str, state: dict[str, Any], error: str) -> None:
        """What a state fails with tells names and times, which are another world's."""
        handler = self._name("Caught")
        state["Catch"] = [{"ErrorEquals": [error], "Next": handler, "ResultPath": None}]
        other: dict[str, Any] = {"Type": "Pass", "Result": name, "ResultPath": f"$.{handler}"}
        steps.states[handler] = other
        steps.open.append(other)

    def _endless_child(self) -> dict[str, Any]:
        """A branch with a child, and one below that, which end only when they are stopped."""
        definition = alone(self._name("Lower"), hanging(DISRUPTIONS))
        for word in ("Upper", "Upmost"):
            state = starting("treadle:execution.sync", self._machine(definition), fragile=True)
            definition = alone(self._name(word), state)
        return definition

    # ----------------------------------------------------------------------------------- people

    def _approval(self, steps: _Steps) -> None:
        self._tasks -= 1
        name = self._name("Approval")
        state, error = asking(self._dice, name)
        state = steps.add(name, {**state, "ResultPath": f"$.{name}"})
        if error:
            self._caught(steps, name, state, error)

    def _trouble(
        self,
        steps: _Steps,
        name: str,
        state: dict[str, Any],
        script: dict[str, Any],
        may_fail: bool,
    ) -> None:
        """What happens to a task, and what its state does about it."""
        steps.add(name, state)
        retry: list[dict[str, Any]] = []
        if self._dice.random() < 0.5:
            # So many disturbances do not happen in a world.
            errors = [*DISRUPTIONS, "States.Http.Socket"]
            script["fragile"] = True
            retry.append(retrier(errors, attempts=30))
        trouble = self._dice.random()
        if trouble < 0.2:
            script["failTimes"] = self._dice.randint(1, 2)
            retry.append(retrier(["States.ALL"], attempts=self._dice.randint(2, 3)))
        elif trouble < 0.35:
            self._fatal(steps, name, state, script, may_fail)
        elif trouble < 0.5:
            state["TimeoutSeconds"] = _ENOUGH_SECONDS
        if retry:
            state["Retry"] = retry

    def _fatal(
        self,
        steps: _Steps,
        name: str,
        state: dict[str, Any],
        script: dict[str, Any],
        may_fail: bool,
    ) -> None:
        caught = not may_fail or self._dice.random() < 0.6
        if self._dice.random() < 0.4:
            script["hang"] = True
            state["TimeoutSeconds"] = self._dice.choice((5, 15, 40))
        else:
            script["exitCode"] = self._dice.randint(1, 99)
            if "echoInput" not in script and self._dice.random() < 0.5:
                script["message"] = json.dumps({"error": f"Sim.{name}", "cause": "as scripted"})
        if not caught:
            steps.fails = True
            return
        handler = self._name("Caught")
        state["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": handler, "ResultPath": "$.e"}]
        other: dict[str, Any] = {"Type": "Pass", "Result": name, "ResultPath": f"$.{handler}"}
        steps.states[handler] = other
        steps.open.append(other)

    def _choice(self, steps: _Steps) -> None:
        name, low, high = self._name("Choice"), self._name("Low"), self._name("High")
        state: dict[str, Any] = {"Type": "Choice", "Default": high}
        if self._dice.random() < 0.5:
            state["Choices"] = [{"Variable": "$.v", "NumericLessThan": 5, "Next": low}]
        else:
            state["QueryLanguage"] = "JSONata"
            state["Choices"] = [{"Condition": "{% $states.input.v < 5 %}", "Next": low}]
        steps.add(name, state)  # its ways out are its rules'
        steps.open = []
        for way in (low, high):
            state = {"Type": "Pass", "Result": way, "ResultPath": f"$.{name}"}
            steps.states[way] = state
            steps.open.append(state)

    def _loop(self, steps: _Steps) -> None:
        """A body that is run a few times, counted in the data."""
        count, check = self._name("Count"), self._name("Again")
        begin = self._name("Begin")
        steps.add(begin, {"Type": "Pass", "Result": 0, "ResultPath": "$.n"})
        if self._dice.random() < 0.5:
            self._job(steps, may_fail=False)
        else:
            self._pass(steps)
        body = next(
            reversed([s for s in steps.states if s != begin and not s.startswith("Caught")])
        )
        template = {"n.$": "States.MathAdd($.n, 1)"}
        steps.add(
            count,
            {
                "Type": "Pass",
                "Parameters": template,
                "ResultPath": "$.counted",
            },
        )
        move = self._name("Move")
        steps.add(move, {"Type": "Pass", "InputPath": "$.counted.n", "ResultPath": "$.n"})
        after = self._name("After")
        times = self._dice.randint(2, 3)
        steps.add(
            check,
            {
                "Type": "Choice",
                "Choices": [{"Variable": "$.n", "NumericLessThan": times, "Next": body}],
                "Default": after,
            },
        )
        steps.open = []
        steps.add(after, {"Type": "Pass"})

    def _parallel(self, steps: _Steps, depth: int, may_fail: bool) -> None:
        name = self._name("Parallel")
        branches = []
        fails = False
        for _ in range(self._dice.randint(2, 3)):
            branch = self._list(depth + 1, may_fail and not fails)
            fails = fails or branch.fails
            branches.append(branch.closed())
        state = {
            "Type": "Parallel",
            "Parameters": {"v.$": "$.v"},
            "Branches": branches,
            "ResultPath": f"$.{name}",
        }
        steps.add(name, state)
        self._caught_or_not(steps, state, fails)

    def _map(self, steps: _Steps, depth: int, may_fail: bool) -> None:
        name, items = self._name("Map"), self._name("Items")
        count = self._dice.randint(0, 4)
        values = [{"v": value} for value in range(count)]
        steps.add(items, {"Type": "Pass", "Result": values, "ResultPath": f"$.{items}"})
        tasks, self._tasks = self._tasks, 1  # each counts as often as there are items
        body = self._list(depth + 1, may_fail=False)
        self._tasks = tasks - count
        fails = may_fail and count > 1 and self._dice.random() < 0.25
        if fails:
            _fail_one_item(
                body, self._name("Which"), self._name("Fail"), self._dice.randrange(count)
            )
        state = {
            "Type": "Map",
            "ItemsPath": f"$.{items}",
            "MaxConcurrency": self._dice.randint(0, 3),
            "ItemProcessor": body.closed(),
            "ResultPath": f"$.{name}",
        }
        steps.add(name, state)
        if self._dice.random() < 0.3:
            fails = self._distributed(state, fails)
        self._caught_or_not(steps, state, fails)

    def _distributed(self, state: dict[str, Any], fails: bool) -> bool:
        """Children that are executions of their own; gives whether the Map fails."""
        config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
        state["ItemProcessor"]["ProcessorConfig"] = config
        if not fails or self._dice.random() < 0.5:
            return fails
        state["ToleratedFailureCount"] = 1
        state["ResultPath"] = None  # what failed tells times, which are another world's
        return False

    def _caught_or_not(self, steps: _Steps, state: dict[str, Any], fails: bool) -> None:
        if not fails:
            return
        if self._dice.random() < 0.5:
            steps.fails = True
            return
        handler = self._name("Caught")
        state["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": handler, "ResultPath": "$.e"}]
        other: dict[str, Any] = {"Type": "Pass", "Result": handler, "ResultPath": "$.caught"}
        steps.states[handler] = other
        steps.open.append(other)


def _fail_one_item(body: _Steps, which: str, fail: str, index: int) -> None:
    first = body.start
    body.states[which] = {
        "Type": "Choice",
        "Choices": [{"Variable": "$.v", "NumericEquals": index, "Next": fail}],
        "Default": first,
    }
    body.states[fail] = {"Type": "Fail", "Error": f"Sim.{fail}", "Cause": "as scripted"}
    body.start = which


def sample(seed: int | str, tasks_max: int = 6) -> Sample:
    """The machine of a seed."""
    return Generator(random.Random(f"{seed}/machine"), tasks_max).sample()


def endless(seed: int | str, tasks_max: int = 3) -> Sample:
    """The machine of a seed that does not end of itself."""
    return Generator(random.Random(f"{seed}/endless"), tasks_max).endless()
