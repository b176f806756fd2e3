"""A long machine with ten mistakes: each is told, once, at its own line."""

import re
from collections.abc import Iterator
from pathlib import Path

from click.testing import CliRunner

from treadle.cli.main import main

STATES = 40

# What a line of the sound machine becomes, and the rule that it breaks then.
PLANTED = {
    "      Resource: treadle:job  # 3": ("      Resource: job  # 3", "resource-invalid"),
    "      Next: S6": ("      Next: S66", "target-missing"),
    "          MaxAttempts: 7": ("          MaxAttempts: -7", "retry-attempts-negative"),
    "        - ErrorEquals: [E9]": ("        - ErrorEquals: []", "error-equals-empty"),
    '        args.$: "$.n.a11"': ('        args.$: "$.n[a11"', "template-invalid"),
    "      TimeoutSeconds: 113": ("      TimeoutSeconds: 0", "member-range"),
    "      Comment: no. 15": ("      Coment: no. 15", "member-unknown"),
    '      Output: "{% $states.input.n + 20 %}"': (
        '      Output: "{% $states.input.n + %}"',
        "jsonata-invalid",
    ),
    '      Output: "{% $states.input.n + 24 %}"': (
        '      Output: "{% n + 24 %}"',
        "jsonata-unsupported",
    ),
    '        x: "{% $states.input.n + 28 %}"': (
        '        x: "{% $states.result.n + 28 %}"',
        "jsonata-states-member",
    ),
}


def machine() -> Iterator[str]:
    """The lines of a sound machine in YAML."""
    yield "# Forty states, one after the other."
    yield "StartAt: S1"
    yield "States:"
    for number in range(1, STATES + 1):
        following = f"Next: S{number + 1}" if number < STATES else "End: true"
        yield f"  S{number}:"
        yield f"      Comment: no. {number}"
        if number % 4 == 0:
            yield "      Type: Pass"
            yield "      QueryLanguage: JSONata"
            yield f'      Output: "{{% $states.input.n + {number} %}}"'
            yield "      Assign:"
            yield f'        x: "{{% $states.input.n + {number} %}}"'
        else:
            yield "      Type: Task"
            yield f"      Resource: treadle:job  # {number}"
            yield f"      TimeoutSeconds: {number + 100}"
            yield "      Parameters:"
            yield "        image: busybox:1.36"
            yield f'        args.$: "$.n.a{number}"'
            yield "      Retry:"
            yield f"        - ErrorEquals: [E{number}]"
            yield f"          MaxAttempts: {number}"
        yield f"      {following}"


def told(path: Path) -> list[tuple[int, str]]:
    """Lines and codes of the errors."""
    found = CliRunner().invoke(main, ["validate", str(path)])
    pattern = re.compile(r"^.*?:(\d+):\d+: error: .* \[([a-z-]+)\]", re.MULTILINE)
    return [(int(line), code) for line, code in pattern.findall(found.stdout)]


def test_ten_mistakes_are_told_at_their_lines(tmp_path: Path) -> None:
    lines = list(machine())
    assert len(lines) >= 400
    path = tmp_path / "machine.yaml"
    path.write_text("\n".join(lines))
    assert told(path) == []
    wanted = []
    for number, line in enumerate(lines, 1):
        if line in PLANTED:
            lines[number - 1], code = PLANTED[line]
            wanted.append((number, code))
    assert len(wanted) == len(PLANTED)
    path.write_text("\n".join(lines))
    assert told(path) == wanted
