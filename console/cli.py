"""The command line: arguments are read here and nothing else is done; each sub-command is imported when it is used.

`--help` and `--version` import argparse only. stdout is data, stderr is narration, exit codes are those of exits.py.
"""

from __future__ import annotations

import argparse
import errno
import gc
import os
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from .argument_parser import Parser

EXAMPLES = """\
examples:
  clusterdeck                              the full-screen console
  clusterdeck -w @web                      the same, with nodes selected
  clusterdeck run -w node[1-9] -b uptime   one command, answers gathered
  clusterdeck repl                         a prompt in a plain terminal
  clusterdeck play -w @web kernel-audit    a macro
  clusterdeck demo                         a first look, on pretended nodes

exit codes: see `clusterdeck help exit-codes`; with `run -S`, the largest return code of the nodes.
"""


#: What `clusterdeck queue` is usually followed by.
QUEUE_WORDS = ("serve", "workers", "add", "map", "status", "results", "cancel", "retry", "pause", "resume", "drain")


def script() -> NoReturn:
    """The installed program. It ends without the interpreter's clean-up, which takes longer than a short run.

    Nothing is lost by that: sessions are closed, and what was written is flushed, when `main` returns; and a thread
    that still waits for a terminal's input cannot hold up the end.
    """
    code = 1
    _fill_streams()
    threading.excepthook = _thread_died
    try:
        code = main()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError as error:
        code = code or _not_written(error)
    if threading.active_count() > 1:
        # Somebody's thread still works: let the interpreter wait for it as usual.
        sys.exit(code)
    os._exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """The `clusterdeck` command; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(words)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError as error:
        return _not_written(error)
    except Exception as error:
        from .settings.settings import SettingsError

        if isinstance(error, SettingsError):
            return _fail(str(error), 6)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            return _not_written(error)
        if os.environ.get("CLUSTERDECK_DEBUG"):
            raise
        from .crash import tell_crash

        tell_crash(error, words)
        return 1


def _dispatch(words: list[str]) -> int:
    if words[:1] == ["demo"]:  # reads its own words, `--` and what follows it included
        from .demo import main as demo_main

        return demo_main(words[1:], main)
    if words[:1] == ["worker"]:  # argparse would take its options for ours
        from ..engine.taskmanager.worker_main import main as worker_main

        return worker_main(words[1:])
    arguments = make_parser(only=words[0] if words else "").parse_args(words)
    handler: Callable[[argparse.Namespace], int] = arguments.handler
    return handler(arguments)


def _fill_streams() -> None:
    """Open what we were started without, on /dev/null: a file of ours would get its number, and be taken for it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115


def _not_written(error: OSError) -> int:
    """Nobody reads our output any more (`| head`), which is no mistake, or the disk is full."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still buffered would fail again
    return 1 if isinstance(error, BrokenPipeError) else _fail(error.strerror or str(error), 1)


def _thread_died(about: threading.ExceptHookArgs) -> None:
    """No traceback on somebody's screen, from a thread neither."""
    if about.exc_value is not None and not isinstance(about.exc_value, SystemExit):
        from .crash import tell_crash

        tell_crash(about.exc_value, sys.argv[1:])


def _fail(text: str, code: int) -> int:
    from ..engine.text import sanitize_text

    sys.stderr.write(f"clusterdeck: {sanitize_text(text)}\n")
    return code


def make_parser(only: str = "", *, manual: bool = False) -> argparse.ArgumentParser:
    """The parser of the whole command line; the manual page and the shell completions are made from it, too.

    only: leave the other commands out, where it is known which one was called: they would cost time for nothing.
    manual: with the options of commands that read their words themselves.
    """
    parser = Parser(
        prog="clusterdeck",
        description="A live console for clusters: run, watch, gather and copy on many nodes over SSH.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    from .. import __version__

    parser.add_argument("--version", action="version", version=f"clusterdeck {__version__}")
    _console_arguments(parser)
    parser.set_defaults(handler=_console)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)
    _add_run(commands)
    if only != "run":
        _add_repl_and_play(commands)
        _add_tools(commands, manual=manual)
    return parser


def _console_arguments(parser: argparse.ArgumentParser, *, again: bool = False) -> None:
    """again: for a command, whose defaults must not undo what was given before its name."""
    none: Any = argparse.SUPPRESS if again else None
    parser.add_argument("-w", dest="nodes", metavar="NODES", default=none, help="nodes selected at the start")
    parser.add_argument(
        "-O", "--option", dest="overrides", action="append", default=none or [], metavar="KEY=VALUE", help="any setting"
    )


def _add_run(commands: argparse._SubParsersAction[Parser]) -> None:
    from .batch.arguments import EXAMPLES as RUN_EXAMPLES
    from .batch.arguments import add_run_arguments, join_values

    run = commands.add_parser(
        "run",
        help="run one command or copy, and exit",
        usage="clusterdeck run -w NODES [OPTIONS] COMMAND...",
        epilog=RUN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=True,  # clush takes them, and lines of scripts are to stay as they are
    )
    add_run_arguments(run)
    run.prepare = partial(join_values, run)
    run.set_defaults(handler=_run, parser=run)


def _add_repl_and_play(commands: argparse._SubParsersAction[Parser]) -> None:
    repl = commands.add_parser("repl", help="the prompt in a plain terminal", allow_abbrev=False)
    _console_arguments(repl, again=True)
    repl.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    repl.set_defaults(handler=_repl)
    play = commands.add_parser("play", help="play a macro (.deck file)", allow_abbrev=False)
    _console_arguments(play, again=True)
    play.add_argument("--dry-run", action="store_true", help="show node sets and commands, run nothing")
    play.add_argument("--yes", action="store_true", help="agree to what the macro asks to confirm")
    play.add_argument("file", metavar="FILE", help="the macro; - reads standard input")
    play.add_argument("parameters", nargs="*", default=[], metavar="NAME=VALUE", help="its parameters")
    play.set_defaults(handler=_play)


def _add_tools(commands: argparse._SubParsersAction[Parser], *, manual: bool) -> None:
    # For the list in --help only: `main` hands `demo` over before this parser reads anything.
    demo = commands.add_parser("demo", help="a first look, on pretended nodes of this machine", allow_abbrev=False)
    if manual:
        from .demo import add_arguments

        add_arguments(demo)
    doctor = commands.add_parser("doctor", help="what this installation finds, and what is wrong", allow_abbrev=False)
    doctor.add_argument("--json", action="store_true", help="as JSON")
    doctor.set_defaults(handler=_doctor)
    config = commands.add_parser("config", help="settings: show, explain, init, trust", allow_abbrev=False)
    config.add_argument("action", nargs="?", default="show", choices=("show", "explain", "init", "trust"))
    config.add_argument("keys", nargs="*", metavar="KEY", help="a setting, section or node, or the file to trust")
    config.add_argument("--node", dest="nodes_meant", action="append", default=[], metavar="NODES", help="these nodes")
    config.add_argument("--force", action="store_true", help="init: replace a file that is there")
    config.set_defaults(handler=_config, parser=config)
    queue = commands.add_parser("queue", help="the work queue", add_help=False, allow_abbrev=False)
    queue.add_argument("-h", "--help", dest="help", action="store_true")
    queue.add_argument("rest", nargs=argparse.REMAINDER, choices=QUEUE_WORDS)  # for completion: nothing is refused
    queue.set_defaults(handler=_queue)
    worker = commands.add_parser("worker", help="a worker of the work queue, on a node", add_help=False)
    worker.add_argument("rest", nargs=argparse.REMAINDER)
    worker.set_defaults(handler=_worker)
    text = commands.add_parser("help", help="more help: exit-codes", allow_abbrev=False)
    text.add_argument("topic", nargs="?", default="exit-codes", choices=("exit-codes",))
    text.set_defaults(handler=_help)


# -- handlers


def _console(arguments: argparse.Namespace) -> int:
    from .tui.terminal import unfit

    if problem := unfit():
        return _fail(problem, 7)
    from .start import start_console

    return start_console(arguments.nodes, arguments.overrides)


def _run(arguments: argparse.Namespace) -> int:
    # What is imported stays for good: looking for garbage in it only takes time.
    gc.disable()
    from .batch.read import UsageError, apply_options, read_flags, read_request, read_targets, wants_prompt
    from .settings.config import load_settings

    notices: list[str] = []
    conf = Path(arguments.conf) if arguments.conf else None
    settings = load_settings(read_flags(arguments), notices=notices, mode=arguments.mode, clush_conf=conf)
    try:
        if wants_prompt(arguments):
            from .start import start_prompt

            gc.enable()
            return start_prompt(read_targets(arguments), apply_options(arguments, settings))
        request = read_request(arguments, settings)
    except UsageError as error:
        arguments.parser.error(str(error))
    from .batch.runner import run_batch

    gc.enable()
    for notice in notices if request.verbose else ():
        _fail(notice, 0)
    return run_batch(request, settings, sys.stdout.buffer, sys.stderr.buffer)


def _repl(arguments: argparse.Namespace) -> int:
    from .start import start_repl

    return start_repl(arguments.nodes, arguments.overrides)


def _play(arguments: argparse.Namespace) -> int:
    from .start import start_play

    return start_play(
        arguments.file,
        arguments.parameters,
        arguments.nodes,
        arguments.overrides,
        dry_run=arguments.dry_run,
        agree=arguments.yes,
    )


def _doctor(arguments: argparse.Namespace) -> int:
    from .doctor import main as doctor_main

    return doctor_main(as_json=arguments.json)


def _config(arguments: argparse.Namespace) -> int:
    from .settings.command import config_command
    from .settings.settings import means_node

    keys, nodes = arguments.keys, arguments.nodes_meant
    if arguments.action == "explain" and (nodes or len(keys) > 1 or any(map(means_node, keys))):
        from .language.tokens import quote
        from .start import start_lines

        words = [*(word for node in nodes for word in ("--node", quote(node))), *map(quote, keys)]
        return start_lines([" ".join([":config explain", *words])], None, arguments.overrides)
    if nodes:
        arguments.parser.error("--node belongs to explain")
    if len(keys) > 1:
        arguments.parser.error(f"{arguments.action} takes one word")
    return config_command(arguments.action, keys[0] if keys else None, force=arguments.force)


def _queue(arguments: argparse.Namespace) -> int:
    from .language.tokens import quote
    from .start import start_lines

    words = arguments.rest
    at = words.index("--") if "--" in words else len(words)
    if arguments.help or {"-h", "--help"} & set(words[:at]):
        return start_lines([f":help {' '.join(['queue', *map(quote, words[:1])])}"], None, [])
    items = words.index(":::", at) if ":::" in words[at:] else len(words)
    # What follows the dashes is a command for the nodes' shells: its words are joined, as `run` and clush do. Items
    # stay the words that they are.
    command = " ".join(words[at + 1 : items])
    if command and words[0] in ("add", "map") and "--json" not in words[:at]:
        command = quote(command)  # these commands take one pair of quotes away
    line = " ".join([":queue", *map(quote, words[:at]), *words[at : at + 1], command, *map(quote, words[items:])])
    return start_lines([line], arguments.nodes, arguments.overrides)


def _worker(arguments: argparse.Namespace) -> int:
    from ..engine.taskmanager.worker_main import main as worker_main

    return worker_main(arguments.rest)


def _help(_arguments: argparse.Namespace) -> int:
    from .exits import ExitCode

    for code in ExitCode:
        sys.stdout.write(f"{code.value:>4}  {code.describe()}\n")
    return 0
