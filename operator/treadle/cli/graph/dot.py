"""A graph in DOT, the language of Graphviz.

One rule: every text is a quoted string in which quotes, backslashes and controls are escaped; a
state with others inside is a cluster, with a node for its entry and a point for its exit.
"""

from collections.abc import Iterator
from typing import Final

from treadle.cli.graph.model import Edge, Flow, Graph, Node
from treadle.cli.graph.texts import run_words, shown

_FONT: Final = "Helvetica,Arial,sans-serif"
_SHAPES: Final = {"Choice": "hexagon", "Succeed": "oval", "Fail": "oval"}
_FILLS: Final = {
    "Running": "#dbeafe",
    "Succeeded": "#dcfce7",
    "Caught": "#fef3c7",
    "Failed": "#fee2e2",
    "Aborted": "#e5e7eb",
}


def write(graph: Graph) -> str:
    """The text of a digraph."""
    lines = [
        f"digraph {_quoted(graph.name or 'machine')} {{",
        f"  label={_quoted(graph.comment)}; labelloc=t; compound=true; rankdir=TB;",
        f'  node [shape=box style="rounded,filled" fillcolor=white fontname="{_FONT}"];',
        f'  edge [fontname="{_FONT}" fontsize=10];',
    ]
    lines += [f"  {line}" for line in _Writer(graph.flow).flow(graph.flow, "m")]
    return "\n".join([*lines, "}"]) + "\n"


class _Writer:
    """Knows of each state where edges leave it."""

    def __init__(self, flow: Flow) -> None:
        self._groups: set[str] = set()
        self._learn(flow)

    def _learn(self, flow: Flow) -> None:
        for node in flow.nodes:
            if node.groups:
                self._groups.add(node.id)
            for group in node.groups:
                self._learn(group.flow)

    def flow(self, flow: Flow, owner: str) -> Iterator[str]:
        """The lines of one list of states."""
        if flow.start and owner == "m":
            yield 'm_start [shape=circle width=0.2 style=filled fillcolor=black label=""];'
            yield f"m_start -> {flow.start};"
        for node in flow.nodes:
            yield from self.node(node)
        for edge in flow.edges:
            yield self.edge(edge)
        if flow.ends and owner == "m":
            yield 'm_end [shape=doublecircle width=0.15 style=filled fillcolor=black label=""];'
            yield from (f"{self.exit(end)} -> m_end;" for end in flow.ends)

    def node(self, node: Node) -> Iterator[str]:
        """A state, with all that is in it."""
        shape = _SHAPES.get(node.type, "box")
        fill = f" fillcolor={_quoted(_FILLS[node.run.status])}" if node.run else ""
        own = f"{node.id} [label={_quoted(*_lines(node))} shape={shape}{fill}];"
        if not node.groups:
            yield own
            return
        yield f"subgraph cluster_{node.id} {{"
        yield '  label=""; style=rounded; color="#888888";'
        yield f"  {own}"
        yield f'  {node.id}_out [shape=point label=""];'
        for number, group in enumerate(node.groups, 1):
            yield from (f"  {line}" for line in self._group(node, number, group.label, group.flow))
        yield "}"

    def _group(self, node: Node, number: int, label: str, flow: Flow) -> Iterator[str]:
        yield f"subgraph cluster_{node.id}_{number} {{"
        yield f'  label={_quoted(label)}; style="rounded,dashed"; color="#888888"; fontsize=10;'
        yield from (f"  {line}" for line in self.flow(flow, f"{node.id}_{number}"))
        yield "}"
        if flow.start:
            yield f"{node.id} -> {flow.start};"
        yield from (f"{self.exit(end)} -> {node.id}_out;" for end in flow.ends)

    def exit(self, node_id: str) -> str:
        """The node that an edge out of a state leaves from."""
        return f"{node_id}_out" if node_id in self._groups else node_id

    def edge(self, edge: Edge) -> str:
        """A way between two states; errors leave at the entry, where the frame is named."""
        is_catch = edge.way == "catch"
        given = [f"label={_quoted(edge.label)}"] if edge.label else []
        given += ["style=dashed"] if is_catch else []
        members = f" [{' '.join(given)}]" if given else ""
        return f"{edge.source if is_catch else self.exit(edge.source)} -> {edge.target}{members};"


def _lines(node: Node) -> list[str]:
    kind = f"{node.type}: {node.detail}" if node.detail else node.type
    return [node.name, kind, *([run_words(node.run)] if node.run else [])]


def _quoted(*lines: str) -> str:
    escaped = (shown(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'
