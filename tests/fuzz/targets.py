"""What is fuzzed in the language: definitions, paths, calls, templates, JSONata.

One rule: a target lets through what the product says it may raise, and nothing else.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

from ruamel.yaml import YAML

from tests.fuzz import corpus, definitions, evaluating, expressions, mutation
from tests.fuzz.dice import Dice
from treadle.asl import document, queries, templates
from treadle.asl.chance import Chance
from treadle.asl.errors import EvaluationFailed, InvalidDocument
from treadle.asl.evaluator import Answer, Asked, Evaluator
from treadle.asl.intrinsics import IntrinsicSyntaxError, compile_call
from treadle.asl.json import dumps
from treadle.asl.jsonata import JsonataSyntaxError
from treadle.asl.limits import VISIT_NODES_MAX
from treadle.asl.lint import aws_message
from treadle.asl.paths import PathNotFound, PathSyntaxError, compile_path, compile_reference
from treadle.asl.rules import RULES
from treadle.asl.scope import Effort, Scope
from treadle.asl.templates import TemplateSyntaxError
from treadle.asl.texts import problems_of_value


def scope_of(data: Any, evaluator: Evaluator = evaluating.answer) -> Scope:
    """A scope over data, bounded as that of a visit is."""
    effort = Effort(VISIT_NODES_MAX, None, evaluating.seconds, evaluator)
    item = data[0] if isinstance(data, list) and data else data
    context = {"Execution": {"Input": data}, "Map": {"Item": {"Index": 0, "Value": item}}}
    variables = {"v": data, "x": item}
    return Scope(data, lambda: context, Chance(b"seed"), effort, variables, {"result": item})


def _written(value: Any) -> str:
    """What the engine does with any value: it may only refuse to write it."""
    try:
        text = dumps(value)
    except ValueError:
        return "unwritable"
    text.encode()
    return "value"


class _Timed:
    seconds_max = 2.0

    def seconds(self) -> float:
        """See `Target`."""
        return evaluating.seconds()


class Definition(_Timed):
    """Texts in JSON and YAML: judged, never raised."""

    name = "definition"

    def make(self, dice: Dice) -> Any:
        """A text, and whether the type is EXPRESS."""
        kind = dice.random()
        seeds = corpus.texts("definition")
        if kind < 0.3:
            return [mutation.text(dice, dice.one(seeds), seeds), dice.one_in(2)]
        value = definitions.machine(dice) if kind < 0.6 else dice.one(_loaded(seeds))
        if not dice.one_in(8):
            others = (definitions.machine(dice),)
            value = mutation.value(dice, value, others, definitions.WORDS)
        text = definitions.as_yaml(dice, value) if dice.one_in(3) else _as_json(dice, value)
        if dice.one_in(6):
            text = mutation.text(dice, text, seeds)
        return [text, dice.one_in(2)]

    def run(self, given: Any) -> str:
        """Judge the text and, where it is JSON, its value: they must agree."""
        text, express = given
        program, problems = document.inspect(text, express=express)
        errors = [p for p in problems if p.severity == "error"]
        assert (program is None) == bool(errors)
        assert all(p.code in RULES for p in problems)
        if errors:
            assert aws_message(problems).startswith("Invalid State Machine Definition: '")
            try:
                document.parse(text, express=express)
            except InvalidDocument as why:
                assert list(why.problems) == errors
            else:
                raise AssertionError("it was parsed in spite of its problems")
        for problem in problems:
            assert problem.line
            assert problem.column
            dumps([problem.pointer, problem.message]).encode()
        if errors and errors[0].code.startswith("document-"):
            return errors[0].code
        return "problems" if errors else "program"


@cache
def _loaded(texts: tuple[str, ...]) -> list[Any]:
    return [YAML(typ="safe", pure=True).load(text) for text in texts]


def _as_json(dice: Dice, value: Any) -> str:
    return json.dumps(value, indent=dice.one((None, 1)), ensure_ascii=dice.one_in(2))


class Path(_Timed):
    """Paths and reference paths over any data."""

    name = "path"

    def make(self, dice: Dice) -> Any:
        """A path, data, and what is put into it."""
        make = dice.one((expressions.path, expressions.path, expressions.reference))
        return [_text(dice, make, "path.txt"), dice.data(), dice.value(2)]

    def run(self, given: Any) -> str:
        """Find, and put."""
        text, data, value = given
        try:
            compile_reference(text).put(data, value)
        except PathSyntaxError as why:
            assert 0 <= why.position <= len(text)
        except EvaluationFailed:
            pass
        try:
            path = compile_path(text)
        except PathSyntaxError as why:
            assert 0 <= why.position <= len(text)
            return "refused"
        try:
            found = path.find(scope_of(data))
        except PathNotFound as why:
            with suppress(EvaluationFailed):  # it would quote data that is nested too deeply
                assert isinstance(why.message, str)
            return "nothing"
        except EvaluationFailed:
            return "failed"
        return _written(found)


class Intrinsic(_Timed):
    """Calls of intrinsic functions over any data."""

    name = "intrinsic"

    def make(self, dice: Dice) -> Any:
        """A call and data."""
        return [_text(dice, expressions.call, "intrinsic.txt"), dice.data()]

    def run(self, given: Any) -> str:
        """Evaluate it."""
        text, data = given
        try:
            call = compile_call(text)
        except IntrinsicSyntaxError as why:
            assert 0 <= why.position <= len(text)
            return "refused"
        try:
            return _written(call.evaluate(scope_of(data)))
        except EvaluationFailed as why:
            return why.name


class Template(_Timed):
    """Templates in both languages over any data."""

    name = "template"

    def make(self, dice: Dice) -> Any:
        """A template, its language, and data."""
        language = dice.one(("JSONPath", "JSONata"))
        is_path = language == "JSONPath"
        seeds = corpus.values("template.jsonl" if is_path else "query-template.jsonl")
        generate = expressions.template if is_path else expressions.query_template
        value = generate(dice) if dice.one_in(2) else dice.one(seeds)
        if dice.one_in(2):
            value = mutation.value(dice, value, seeds)
        return [language, value, dice.data()]

    def run(self, given: Any) -> str:
        """Compile and render it."""
        language, value, data = given
        if problems_of_value(value):
            return "no definition"
        try:
            if language == "JSONPath":
                template = templates.compile_template(value)
            else:
                template = queries.compile_template(value, "Output")
        except (TemplateSyntaxError, JsonataSyntaxError):
            return f"{language} refused"
        try:
            return f"{language} {_written(template.render(scope_of(data)))}"
        except EvaluationFailed as why:
            return why.name


class Jsonata(_Timed):
    """JSONata expressions over any data."""

    name = "jsonata"

    def __init__(self) -> None:
        self._compared_seconds = 0.0

    def seconds(self) -> float:
        """See `Target`; without what it takes to evaluate again and compare."""
        return super().seconds() - self._compared_seconds

    def make(self, dice: Dice) -> Any:
        """An expression and data."""
        text = _text(dice, expressions.expression, "jsonata.txt")
        # Where there is a context, a bare name and `$` mean something.
        return [f"$states.input.({text})" if dice.one_in(2) else text, dice.data()]

    def run(self, given: Any) -> str:
        """Evaluate it."""
        text, data = given
        whole = f"{{%{text}%}}"
        try:
            query = queries.compile_query(whole, "Output")
        except JsonataSyntaxError as why:
            assert 0 <= why.position <= len(whole)
            return "refused"
        asked: list[Asked] = []

        def evaluator(question: Asked) -> Answer:
            asked.append(question)
            return evaluating.answer(question)

        scope = scope_of(data, evaluator)
        try:
            value = query.value(scope)
        except EvaluationFailed as why:
            assert why.location == "Output"
            return f"{why.name} {_code(why.cause)}"
        if asked:
            began = super().seconds()
            _check_cut(asked[-1], scope)
            self._compared_seconds += super().seconds() - began
        return _written(value)


def _check_cut(asked: Asked, scope: Scope) -> None:
    """An expression gives the same where it is given more than it reads."""
    states = {"input": scope.data, **scope.produced, "context": scope.context}
    try:
        whole = dumps({"states": states, **scope.variables})
    except ValueError:
        return
    cut = evaluating.answer(asked)
    full = evaluating.answer(replace(asked, bindings=whole))
    assert full.failure or cut.failure or full.value == cut.value, (full, cut)


def _code(cause: str) -> str:
    """The code of JSONata's that a cause has, or its last words."""
    _, _, said = cause.rpartition("threw an error during evaluation. ")
    return said[:5] if said[1:5].isdigit() else " ".join(cause.split()[-3:])[:40]


def _text(dice: Dice, generate: Callable[[Dice], str], seeds: str) -> str:
    known = corpus.lines(seeds)
    kind = dice.random()
    if kind < 0.5:
        return generate(dice)
    whole = generate(dice) if kind < 0.65 else dice.one(known)
    return mutation.text(dice, whole, known)
