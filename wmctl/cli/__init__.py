"""The command line. A command's module is imported only when it is called: ``--help`` is fast."""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

import click

from wm.errors import Exit, WmError

COMMANDS = {
    "submit": "Run a plan, or go on with the run of it.",
    "plan": "Show what a plan would run, take and cost.",
    "rehearse": "Simulate nights of a plan, with what may go wrong.",
    "status": "Show how far a run is.",
    "logs": "Show the log of a run's stages.",
    "cancel": "End a run; its stages save their state.",
    "explain": "Show every decision of a run, decided again.",
    "compare": "Show how two runs differ.",
    "replay-step": "Make one step of a training again.",
    "report": "Write a run's report and show its verdict.",
    "collect": "Bring a run's results home.",
    "runs": "List the runs in the store.",
    "models": "List, show, import and promote models.",
    "data": "List, show, verify and take stock of data.",
    "prices": "Show or change what machines cost a run.",
    "gc": "Clear finished runs away from a cluster.",
    "doctor": "Check everything that could fail later.",
    "conduct": "Conduct a run from inside a cluster.",
}
HIDDEN = {"conduct"}
"""Commands that people do not call."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if name not in HIDDEN]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"wmctl.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from wmctl.plan.words import did_you_mean

            ctx.fail(f"there is no command {args[0]!r}{did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--store",
    envvar="WM_STORE",
    default="wm-store",
    show_default=True,
    help="Where everything is kept: a folder or s3://bucket/prefix (WM_STORE).",
)
@click.version_option(package_name="wmctl")
@click.pass_context
def cli(context: click.Context, store: str) -> None:
    """Train models of games unattended: raw games in, a verdict out.

    \b
    Examples:
      wmctl submit demo
      wmctl submit demo --data chess=games.pgn.xz
      wmctl status --watch
    """
    context.obj = store


def main(argv: list[str] | None = None) -> NoReturn:
    """Entry point: runs a command and turns errors into one sentence, a hint and a code."""
    try:
        code = cli.main(args=argv, prog_name="wmctl", standalone_mode=False)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(Exit.PREEMPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(Exit.BAD_CONFIG)
    except click.UsageError as error:
        hint = f"{error.ctx.command_path if error.ctx else 'wmctl'} --help"
        if isinstance(error, click.NoSuchOption) and error.option_name == "--store":
            hint = "--store stands before the command: wmctl --store STORE ..."
        _fail(error.format_message(), hint, Exit.BAD_CONFIG)
    except WmError as error:
        _fail(error.message, error.hint, error.code)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, hint: str, code: int) -> NoReturn:
    click.echo(f"error: {message}", err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)
    sys.exit(code)
