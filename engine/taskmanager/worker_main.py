"""`clusterdeck worker`: the command line of a worker process."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from .workers import DEFAULT_PERIOD, WorkerModuleError, serve_socket, serve_stdio


class _Parser(argparse.ArgumentParser):
    """Errors are one line and the name of the help."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\ntry: {self.prog} --help\n")


def main(arguments: Sequence[str]) -> int:
    """Run a worker; an exit code: 0 the manager ended, 1 a fault, 2 a wrong command line or module."""
    parser = _Parser(
        prog="clusterdeck worker",
        description="Run the do_TAG functions of Python modules for a task manager.",
        epilog="The modules are loaded here; nothing but tags and JSON comes over the wire.",
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--stdio", action="store_true", help="speak on standard input and output (over SSH)")
    where.add_argument("--socket", metavar="PATH", help="connect to the manager's Unix socket")
    parser.add_argument("--slots", type=int, default=1, metavar="N", help="tasks at a time (1)")
    parser.add_argument(
        "--period", type=float, default=DEFAULT_PERIOD, metavar="SEC", help="seconds between pings (30)"
    )
    parser.add_argument("modules", nargs="+", metavar="MODULE", help="a dotted name, or a .py file")
    options = parser.parse_args(list(arguments))
    if not 1 <= options.slots <= 1024 or not 0 < options.period < 1e6:
        parser.error("--slots: 1 to 1024; --period: seconds above 0")
    try:
        if options.stdio:
            return serve_stdio(options.modules, slots=options.slots, period=options.period)
        return serve_socket(options.socket, options.modules, slots=options.slots, period=options.period)
    except WorkerModuleError as error:
        sys.stderr.write(f"clusterdeck worker: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"clusterdeck worker: {options.socket or 'stdio'}: {error.strerror or error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
