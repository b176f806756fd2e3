"""The commands of `helm` that the pages for users show, for machines without that program.

One rule: Helm itself does the work, by its own library; only the words are read here.
"""

import argparse
import os
import stat
import sys
from pathlib import Path
from typing import Any

import click
from helm_python import Config, parse_set_string

ROOT = Path(__file__).parents[2]
SECONDS = 120


def write(file: Path) -> None:
    """Write a program `helm` that runs this module."""
    file.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m {__name__} "$@"\n')
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def main() -> None:
    """Run one command; one that is not here is refused."""
    parser = argparse.ArgumentParser("helm")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("install", "test"):
        command = commands.add_parser(name)
        command.add_argument("release")
        command.add_argument("--namespace", required=True)
        if name == "install":
            command.add_argument("chart")
            command.add_argument("--create-namespace", action="store_true")
            command.add_argument("--set", action="append", default=[])
    asked = parser.parse_args()
    with Config(kubeconfig_path=os.environ["KUBECONFIG"], namespace=asked.namespace) as helm:
        if asked.command == "install":
            _install(helm, asked)
        else:
            click.echo(helm.test(asked.release, timeout=SECONDS, logs=True)["logs"])


def _install(helm: Config, asked: argparse.Namespace) -> None:
    values: dict[str, Any] = parse_set_string(",".join(asked.set))
    made = helm.install(
        os.path.realpath(asked.chart),
        asked.release,
        values,
        create_namespace=asked.create_namespace,
        timeout=SECONDS,
    )
    click.echo(made["name"])


if __name__ == "__main__":
    main()
