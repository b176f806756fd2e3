"""A graph as a Mermaid flowchart.

One rule: names and labels reach Mermaid as quoted texts in which all that it could read as its own
is an entity; ids are ours. A flowchart and not a state diagram: that has neither dashed lines nor
quoted labels.
"""

import re
from collections.abc import Iterator
from typing import Final

from treadle.cli.graph.model import Edge, Flow, Graph, Node
from treadle.cli.graph.texts import run_words, shown

_STYLES: Final = (
    "classDef fork fill:#8881,stroke:#888",
    "classDef Running fill:#dbeafe,stroke:#2563eb,color:#111",
    "classDef Succeeded fill:#dcfce7,stroke:#16a34a,color:#111",
    "classDef Caught fill:#fef3c7,stroke:#d97706,color:#111",
    "classDef Failed fill:#fee2e2,stroke:#dc2626,color:#111",
    "classDef Aborted fill:#e5e7eb,stroke:#6b7280,color:#111",
)
_SHAPES: Final = {
    "Choice": ("{{", "}}"),
    "Succeed": ("([", "])"),
    "Fail": ("([", "])"),
    "Wait": ("(", ")"),
}
_UNSAFE: Final = re.compile(r"[^\w \u00a0-\U0010ffff]|_", re.ASCII)


def write(graph: Graph) -> str:
    """The text of a diagram."""
    lines = ["flowchart TB"]
    if graph.name or graph.comment:
        lines += [f"  accTitle: {_plain(graph.name or 'State machine')}"]
        lines += [f"  accDescr: {_plain(graph.comment)}"] if graph.comment else []
    lines += [f"  {line}" for line in _flow(graph.flow, "m")]
    lines += [f"  {style}" for style in _STYLES]
    return "\n".join(lines) + "\n"


def _flow(flow: Flow, owner: str) -> Iterator[str]:
    if flow.start:
        yield f"{owner}_start((( )))" if owner != "m" else "m_start((start))"
        yield f"{owner}_start --> {flow.start}"
    for node in flow.nodes:
        yield from _node(node)
    for edge in flow.edges:
        yield _edge(edge)
    if flow.ends and owner == "m":
        yield "m_end((end))"
        for end in flow.ends:
            yield f"{end} --> m_end"


def _node(node: Node) -> Iterator[str]:
    style = f":::{node.run.status}" if node.run else ""
    text = _text(node)
    if not node.groups:
        begin, end = _SHAPES.get(node.type, ("[", "]"))
        yield f'{node.id}{begin}"{text}"{end}{style}'
        return
    yield f'subgraph {node.id}["{text}"]'
    yield "  direction TB"
    for number, group in enumerate(node.groups, 1):
        inner = f"{node.id}_{number}"
        if group.label:
            yield f'  subgraph {inner}["{_quoted(group.label)}"]'
            yield "    direction TB"
            yield from (f"    {line}" for line in _flow(group.flow, inner))
            yield "  end"
        else:
            yield from (f"  {line}" for line in _flow(group.flow, inner))
    yield "end"
    yield f"class {node.id} {node.run.status if node.run else 'fork'}"


def _text(node: Node) -> str:
    kind = f"{node.type}: {node.detail}" if node.detail else node.type
    lines = [f"<b>{_quoted(node.name)}</b>", _quoted(kind)]
    lines += [_quoted(run_words(node.run))] if node.run else []
    return "<br>".join(lines)


def _edge(edge: Edge) -> str:
    line = "-.->" if edge.way == "catch" else "-->"
    label = f'|"{_quoted(edge.label)}"|' if edge.label else ""
    return f"{edge.source} {line}{label} {edge.target}"


def _quoted(text: str) -> str:
    return _UNSAFE.sub(lambda found: f"#{ord(found[0])};", shown(text))


def _plain(text: str) -> str:
    """For a line that Mermaid takes as it is, up to its end."""
    return re.sub(r"[#;{}%:]", " ", shown(text)).strip()
