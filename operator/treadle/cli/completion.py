"""What a shell offers when somebody presses Tab.

One rule: nothing is said and nothing fails here; what cannot be known is not offered.
"""

from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class


def script(shell: str, command: click.Command) -> str:
    """What a shell has to read once, to ask `treadle` from then on."""
    completing = get_completion_class(shell)
    assert completing is not None
    return completing(command, {}, "treadle", "_TREADLE_COMPLETE").source()


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Any file; the shell knows which there are."""
    del ctx, param
    return [CompletionItem(incomplete, type="file")]


def folders(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Any folder."""
    del ctx, param
    return [CompletionItem(incomplete, type="dir")]


def names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Executions of the desk, the newest first."""
    from treadle.local.runs import Runs

    del param
    folder = Path(ctx.params.get("state_dir") or ".treadle").absolute()
    return [name for name in Runs(folder).names() if name.startswith(incomplete)]


def kept_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The same for a command that looks at a cluster, which is not asked here."""
    return names(ctx, param, incomplete) if ctx.params.get("state_dir") else []
