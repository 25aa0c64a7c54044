"""The command `recsim-env`.

Nothing of the simulator is imported before a command needs it, so that help comes at once.
"""

from __future__ import annotations

import io
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated

import typer

from benchmark.commands import compare, logs, worlds
from movieharbor.cli import app as movieharbor

INTERRUPTED = 130

app = typer.Typer(
    add_completion=False,
)


def print_version(wanted: bool) -> None:
    """Print the installed version and exit, where that is wanted."""
    if wanted:
        from importlib.metadata import version

        print(version("recsim-env"))
        raise typer.Exit


@app.callback(no_args_is_help=True)
def program(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Simulated users, and agents compared on their long-term engagement.

    Add --debug for tracebacks, and --trust to let a folder of runs name Python files and modules, which are imported.
    """


for commands in (compare, worlds, logs):
    app.add_typer(commands.app)
app.add_typer(movieharbor, name="movieharbor")


def show_any_text() -> None:
    """Print a sign that the output's encoding does not have as its code, such as \\xe9, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def trusted(wanted: bool) -> AbstractContextManager[None]:
    """A block in which what run folders name is imported, where that is wanted (see `recsim_env.trust`)."""
    if not wanted:
        return nullcontext()
    from recsim_env.trust import trusting

    return trusting()


def main() -> None:
    """Run the command; a user's error is one line and exit code 2, and its traceback comes with --debug."""
    show_any_text()
    debug, trust = (word in sys.argv for word in ("--debug", "--trust"))
    sys.argv = [argument for argument in sys.argv if argument not in ("--debug", "--trust")]
    try:
        with trusted(trust):
            code = app(standalone_mode=False)
        if code == INTERRUPTED:  # how a command tells that Ctrl-C stopped it
            raise KeyboardInterrupt
        sys.exit(code)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:
        from recsim_env.errors import RecSimError

        usage = getattr(error, "format_message", None)  # a mistake in the command line itself
        if debug or not (usage or isinstance(error, RecSimError)):
            raise
        message = usage() if usage else str(error)
        if message:  # where only the help was asked for, it has been shown
            print(f"error: {message}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
