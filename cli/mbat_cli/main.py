"""The command line: reads arguments, calls the library, prints."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import click

from mbat.errors import MbatError
from mbat_cli.changing import add, compact, delete, rebuild, upsert
from mbat_cli.decoding import decode
from mbat_cli.deduplicating import dedup
from mbat_cli.encoding import encode
from mbat_cli.evaluating import evaluate
from mbat_cli.explaining import explain
from mbat_cli.indexing import index
from mbat_cli.information import info
from mbat_cli.mapping import draw_map
from mbat_cli.outliers import outliers
from mbat_cli.pushing import push
from mbat_cli.querying import get, query
from mbat_cli.verifying import verify

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _Commands(click.Group):
    """Commands in the order a user meets them; what mbat refuses is one line on stderr."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MbatError as error:
            raise click.ClickException(str(error)) from error
        except BrokenPipeError:  # click itself would end with status 1
            _forget_output()
            raise click.exceptions.Exit(0) from None


@click.group(cls=_Commands, context_settings=_CONTEXT)
@click.version_option(package_name="mbat", message="mbat %(version)s")
def cli() -> None:
    """Search JSON documents by example.

    \b
      mbat index docs.jsonl            make the index docs.mbat
      mbat query '{"name": "Bob"}'     find the documents most like this one
    """


_COMMANDS = (
    *(index, query, explain, decode, get, add, upsert, delete),
    *(dedup, outliers, draw_map),
    *(compact, rebuild, verify, evaluate, encode, push, info),
)

for _command in _COMMANDS:
    cli.add_command(_command)


def main() -> None:
    """Run the command line; an end asked for by SIGTERM cleans up as any other."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    logging.basicConfig(format="%(message)s")
    logging.getLogger("mbat").setLevel(logging.INFO)
    sys.exit(run(cli))


def run(command: Callable[..., Any]) -> int:
    """Run a click command; return the exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    try:
        status = command(standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return 130
    except BrokenPipeError:
        _forget_output()
        return 0
    return status if isinstance(status, int) else 0  # an Exit is returned, commands return nothing


def _forget_output() -> None:
    """Write to nowhere from now on: the reader, as in `mbat query | head`, has had enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
