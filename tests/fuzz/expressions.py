"""Paths, intrinsic calls, JSONata and templates, spoken by dice.

One rule: most of what is said here can be read; mutation sees to the rest.
"""

from typing import Any

from tests.fuzz.dice import Dice
from treadle.asl.functions import FUNCTIONS

# ------------------------------------------------------------------------------------- paths

_PLAIN = (
    ".a",
    ".b",
    ".c",
    "['a']",
    '["b"]',
    "['a','b']",
    "[0]",
    "[-1]",
    "[0,1]",
    "['x y']",
    "['']",
)
_WIDE = ("[*]", ".*", "..a", "..*", "..[0]", "..['a','b']", "[1:]", "[:2]", "[-2:1]", "[0:99999]")
_LAST = (".length()", ".size()", ".keys()", ".sum()", ".avg()", ".stddev()", ".min()", ".index(1)")
_COMPARED = ("==", "!=", "===", "<", "<=", ">", ">=", " in ", " nin ", " contains ", " size ",
             " empty ", " all ", " anyof ", " noneof ", " subsetof ")  # fmt: skip
_LITERALS = ("1", "-1.5", "1e300", "'a'", '"1"', "true", "null", "[1,'a']", "{'a':1}", "b", "[]",
             "'\\u0061'", "9" * 30)  # fmt: skip
_PATTERNS = (
    "a",
    "a*",
    "(a|b)+",
    "(a+)+",
    "[^b-x]{2,9}",
    "\\d+",
    "(a?){30}a{30}",
    ".*.*.*",
    "^a$",
    "\\w",
)


def path(dice: Dice) -> str:
    """A path."""
    root = dice.one(("$", "$", "$", "$$", "$v"))
    return root + steps(dice, 5, 2)


def reference(dice: Dice) -> str:
    """A reference path."""
    return "$" + "".join(dice.several(lambda: dice.one(_PLAIN[:7]), 4))


def steps(dice: Dice, most: int, depth: int) -> str:
    """The steps of one."""

    def step() -> str:
        kind = dice.random()
        if kind < 0.5:
            return dice.one(_PLAIN)
        if kind < 0.75 or depth == 0:
            return dice.one(_WIDE)
        return dice.one(("", "", "..")) + f"[?({test(dice, depth - 1)})]"

    last = dice.one(_LAST) if dice.one_in(6) else ""
    return "".join(dice.several(step, most)) + last


def test(dice: Dice, depth: int) -> str:
    """What a filter asks."""

    def operand() -> str:
        return dice.one("@@@$") + steps(dice, 3, depth)

    def compared() -> str:
        right = dice.one(_LITERALS) if dice.one_in(2) else operand()
        return operand() + dice.one(_COMPARED) + right

    kind = dice.random()
    if kind < 0.5:
        return compared()
    if kind < 0.65:
        return operand()
    if kind < 0.75:
        return f"{operand()} =~ /{dice.one(_PATTERNS)}/{dice.one(('', 'i'))}"
    if depth == 0:
        return compared()
    joined = dice.one((" && ", "||"))
    inner = joined.join([test(dice, depth - 1), test(dice, depth - 1)])
    return dice.one(("!", "")) + f"({inner})"


# --------------------------------------------------------------------------------- intrinsics

_ARGUMENTS = ("'{}'", "'a{}b{}'", "'\\{'", "'\\'", "$$", "$", "2147483648", "-1", "0.5", "null",
              "true", "'MD5'", "'SHA-256'", "','", "'{\"a\":[1]}'", "1e2", "''")  # fmt: skip


def call(dice: Dice, depth: int = 3) -> str:
    """A call of an intrinsic function."""
    name = dice.one(sorted(FUNCTIONS))
    function = FUNCTIONS[name]
    least, most = function.arguments_min, function.arguments_max
    count = dice.randint(least, most if most is not None else least + 3)
    if dice.one_in(20):
        count += dice.one((-1, 1, 5))

    def argument() -> str:
        kind = dice.random()
        if depth and kind < 0.2:
            return call(dice, depth - 1)
        if kind < 0.6:
            return path(dice)
        return dice.one(_ARGUMENTS) if kind < 0.95 else repr(dice.number())

    arguments = dice.one((", ", ",")).join(argument() for _ in range(count))
    return f"{name}({arguments})"


# ------------------------------------------------------------------------------------ JSONata

_FUNCTIONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("sum", "max", "min", "average"), ("a",)),
    **dict.fromkeys(("count", "reverse", "shuffle", "distinct"), ("a",)),
    **dict.fromkeys(("string", "length", "uppercase", "lowercase", "trim"), ("s",)),
    **dict.fromkeys(("encodeUrl", "decodeUrl", "encodeUrlComponent", "base64encode"), ("s",)),
    **dict.fromkeys(("base64decode", "decodeUrlComponent", "parse"), ("s",)),
    **dict.fromkeys(("keys", "spread", "merge", "type", "exists", "not", "number"), ("x",)),
    **dict.fromkeys(("abs", "floor", "ceil", "sqrt"), ("n",)),
    "substring": ("s", "n", "n"), "substringBefore": ("s", "s"), "substringAfter": ("s", "s"),
    "pad": ("s", "n", "s"), "contains": ("s", "r"), "split": ("s", "r", "n"), "join": ("a", "s"),
    "match": ("s", "r", "n"), "replace": ("s", "r", "s", "n"), "round": ("n", "n"),
    "power": ("n", "n"), "formatNumber": ("n", "p"), "formatBase": ("n", "n"),
    "formatInteger": ("n", "p"), "parseInteger": ("s", "p"), "fromMillis": ("n", "p"),
    "toMillis": ("s", "p"), "now": ("p",), "millis": (), "random": ("n",), "uuid": (),
    "append": ("a", "a"), "sort": ("a", "f2"), "zip": ("a", "a"), "map": ("a", "f1"),
    "filter": ("a", "f1"), "reduce": ("a", "f2"), "single": ("a", "f1"), "each": ("o", "f2"),
    "sift": ("o", "f2"), "lookup": ("o", "s"), "partition": ("a", "n"), "range": ("n", "n", "n"),
    "hash": ("s", "h"), "error": ("s",), "assert": ("x", "s"), "clone": ("x",),
}  # fmt: skip
_BINARY = ("+", "-", "*", "/", "%", "&", "=", "!=", "<", "<=", ">", ">=", " and ", " or ", " in ",
           ".", "~>", "..")  # fmt: skip
_PICTURES = ('"#,##0.00"', '"[Y0001]-[M01]-[D01]"', '"w"', '"I"', '"0"', '"[H01]:[m01][Z]"', '"#"',
             '"[FNn], [D1o] [MNn]"', '"aA"', '"000;(0)"', '"%"', '"0e0"', '"[["', '""')  # fmt: skip
_HASHES = ('"MD5"', '"SHA-1"', '"SHA-256"', '"SHA-512"', '"CRC"')
_COUNTS = ("0", "1", "2", "-1", "3.7", "10", "100", "1000", "20000", "1e6", "1e9", "-1e9", "1e300")
_STATES = ("$states.input", "$states.input.a", "$states.context", "$states.result", "$v", "$v.a",
           "$states.input.b.c", "$states.input.a[0]", "$states.context.Map.Item.Value")  # fmt: skip


def expression(dice: Dice, depth: int = 4) -> str:
    """A JSONata expression, without its delimiters."""
    if depth == 0 or dice.one_in(6):
        return _leaf(dice)
    return dice.one(_COMPOUND)(dice, depth - 1)


def _leaf(dice: Dice) -> str:
    kind = dice.random()
    if kind < 0.4:
        return dice.one(_STATES)
    if kind < 0.55:
        return dice.one(("$", "$x", "$y", "$f", "a", "b", "*", "**", "%", "`x y`"))
    if kind < 0.8:
        return dice.one(_COUNTS)
    return dice.one(('"a"', '"ab,c"', "''", "true", "false", "null", "[]", "{}", '"\\ud800"'))


def _binary(dice: Dice, depth: int) -> str:
    left, right = expression(dice, depth), expression(dice, depth)
    operator = dice.one(_BINARY)
    if operator == "..":
        return f"[{left}..{right}]"
    return f"({left}{operator}{right})" if dice.one_in(2) else f"{left}{operator}{right}"


def _call(dice: Dice, depth: int) -> str:
    name = dice.one(sorted(_FUNCTIONS))
    kinds = _FUNCTIONS[name]
    if kinds and dice.one_in(4):
        kinds = kinds[:-1]
    return f"${name}({', '.join(_argument(dice, kind, depth) for kind in kinds)})"


def _argument(dice: Dice, kind: str, depth: int) -> str:
    if dice.one_in(8):
        return expression(dice, depth)
    match kind:
        case "n":
            return dice.one(_COUNTS)
        case "r":
            return f"/{dice.one(_PATTERNS)}/{dice.one(('', 'i', 'm'))}" if depth else '"a"'
        case "p":
            return dice.one(_PICTURES)
        case "h":
            return dice.one(_HASHES)
        case "f1" | "f2":
            return _function(dice, depth)
        case "a" if dice.one_in(3):
            return f"[1..{dice.one(_COUNTS)}]"
        case "s" if dice.one_in(3):
            return f'$pad("", {dice.one(_COUNTS)}, "ab")'
        case _:
            return expression(dice, depth)


def _function(dice: Dice, depth: int) -> str:
    names = dice.one(("$x", "$x, $y", "$x, $y, $z", ""))
    return f"function({names}){{{expression(dice, depth)}}}"


def _constructed(dice: Dice, depth: int) -> str:
    parts = dice.several(lambda: expression(dice, depth), 3)
    if dice.one_in(2):
        return f"[{', '.join(parts)}]"
    return "{" + ", ".join(f'"{"abc"[n]}": {part}' for n, part in enumerate(parts)) + "}"


def _block(dice: Dice, depth: int) -> str:
    bound = [f"{dice.one(('$x', '$y', '$f'))} := {expression(dice, depth)}" for _ in range(2)]
    return f"({'; '.join([*bound, expression(dice, depth)])})"


def _recursive(dice: Dice, depth: int) -> str:
    body = expression(dice, depth)
    return f"($f := function($x){{$x > {dice.one(_COUNTS)} ? {body} : $f($x + 1)}}; $f(0))"


def _stepped(dice: Dice, depth: int) -> str:
    inner = expression(dice, depth)
    suffix = dice.one(
        (f".({inner})", f"[{inner}]", f"^({dice.one('<>')}{inner})", f"{{$string($): {inner}}}",
         f".{_constructed(dice, depth)}", f"@$x.{inner}", f"#$y[{inner}]",
         f" ~> |{inner}|{{'a': 1}}|", f" ? {inner} : {inner}", "[]")
    )  # fmt: skip
    return expression(dice, depth) + suffix


def _doubling(dice: Dice, depth: int) -> str:
    grown = dice.one(('{"a":$x,"b":$x}', "[[$x],[$x]]", "$x & $x", "$append($x,$x)", "[$x]"))
    body = f"$f($x + 0 = 0, {grown})" if dice.one_in(9) else grown
    times = dice.one(("5", "20", "60", "400"))
    grow = f"$reduce([1..{times}], function($x, $i){{{body}}}, {expression(dice, depth)})"
    return dice.one((grow, f"({grow} = {grow})", f"$string({grow})", f"$count({grow}.**)"))


_COMPOUND = (
    *(_binary, _binary, _call, _call, _call, _call, _constructed, _block, _stepped, _stepped),
    *(_recursive, _doubling),
)


# ---------------------------------------------------------------------------------- templates


def template(dice: Dice, depth: int = 3) -> Any:
    """A payload template in JSONPath."""
    if depth == 0 or dice.one_in(5):
        return dice.scalar()
    if dice.one_in(5):
        return dice.several(lambda: template(dice, depth - 1), 4)
    made: dict[str, Any] = {}
    for _ in range(dice.randint(0, 5)):
        if dice.one_in(2):
            made[dice.name() + ".$"] = path(dice) if dice.one_in(2) else call(dice)
        else:
            made[dice.name()] = template(dice, depth - 1)
    return made


def query_template(dice: Dice, depth: int = 3) -> Any:
    """A template in JSONata."""
    if depth == 0 or dice.one_in(3):
        return f"{{% {expression(dice, 3)} %}}" if dice.one_in(2) else dice.scalar()
    if dice.one_in(5):
        return dice.several(lambda: query_template(dice, depth - 1), 4)
    return {dice.name(): query_template(dice, depth - 1) for _ in range(dice.randint(0, 5))}
