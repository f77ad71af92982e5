"""Starting local processes and learning how they ended, from any thread and without polling.

posix_spawn (vfork inside) costs a tenth of a fork of a large Python process and needs no Python code between fork and
exec, so it is safe with threads. Each process gets a session of its own, so that a key pressed on the operator's
terminal does not reach it. Descriptors that Python made are closed in the child (PEP 446).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping

from .reactor import READ, Reactor

#: Python ignores these; a command must start with their defaults, as it does from a shell.
_RESTORED = [getattr(signal, name) for name in ("SIGPIPE", "SIGXFZ", "SIGXFSZ") if hasattr(signal, name)]
_HAVE_SPAWN = hasattr(os, "posix_spawnp")
#: Seconds between two looks at a process that neither a descriptor nor its output tells us about.
_LOOK_AGAIN = 0.02


class Process:
    """A started process and our ends of its pipes. stdin and stderr may be None."""

    __slots__ = ("pid", "stderr", "stdin", "stdout")

    def __init__(self, pid: int, stdin: int | None, stdout: int, stderr: int | None) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr


def spawn(
    argv: list[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: bool = True,
    stderr: bool = False,
    below: int | None = None,
) -> Process:
    """Start a program with pipes around it; its name is looked up in PATH.

    stdin: a pipe to write to, else its input is empty. stderr: a pipe of its own, else it shares stdout's. below: no
    descriptor number from here on is of use; to have none below it is as to have none left.
    Our ends do not block. Raises OSError (not found, not executable, no descriptor left) or ValueError (a NUL in an
    argument); nothing is left open then.
    """
    made: list[int] = []
    try:
        in_writer: int | None = None
        if stdin:
            in_reader, in_writer = _pipe(made)
        else:
            in_reader = _open_null(made)
        out_reader, out_writer = _pipe(made)
        err_reader: int | None = None
        err_writer = out_writer
        if stderr:
            err_reader, err_writer = _pipe(made)
        if below is not None and max(made) >= below:
            raise OSError(errno.EMFILE, f"no descriptor below {below} is left for select(): use poll or epoll")
        pid = _start(argv, os.environ if env is None else env, in_reader, out_writer, err_writer)
    except BaseException:
        for left in made:
            os.close(left)
        raise
    os.close(in_reader)
    os.close(out_writer)
    if err_writer != out_writer:
        os.close(err_writer)
    for fd in (in_writer, out_reader, err_reader):
        if fd is not None:
            os.set_blocking(fd, False)
    return Process(pid, in_writer, out_reader, err_reader)


def _start(argv: list[str], env: Mapping[str, str], fd0: int, fd1: int, fd2: int) -> int:
    if _HAVE_SPAWN:
        actions = [(os.POSIX_SPAWN_DUP2, fd0, 0), (os.POSIX_SPAWN_DUP2, fd1, 1), (os.POSIX_SPAWN_DUP2, fd2, 2)]
        try:
            return os.posix_spawnp(
                argv[0], argv, env, file_actions=actions, setsid=True, setsigmask=[], setsigdef=_RESTORED
            )
        except NotImplementedError:
            # An old C library that cannot make a session: the slow way.
            pass
    child = subprocess.Popen(argv, env=env, stdin=fd0, stdout=fd1, stderr=fd2, start_new_session=True)
    child.returncode = 0  # we reap it ourselves: keep Popen from doing so, or from warning that nobody did
    return child.pid


def _pipe(made: list[int]) -> tuple[int, int]:
    ends = os.pipe()
    made.extend(ends)
    if min(ends) > 2:
        return ends
    # The parent runs without one of 0, 1, 2: move out of the way of what the child's numbers will be.
    moved = []
    for fd in ends:
        new = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
        made.append(new)
        moved.append(new)
        made.remove(fd)
        os.close(fd)
    return moved[0], moved[1]


def _open_null(made: list[int]) -> int:
    fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    made.append(fd)
    if fd > 2:
        return fd
    new = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    made.append(new)
    made.remove(fd)
    os.close(fd)
    return new


def try_wait(pid: int) -> int | None:
    """How `pid` ended: its exit status, 128 + signal, None while it runs; 255 if somebody else took its status."""
    try:
        done, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 255
    if done == 0:
        return None
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def is_child(pid: int) -> bool:
    """Whether the process, running or ended, is still ours to reap.

    Where somebody else reaps our children (a caller's SIGCHLD handler, or SIGCHLD ignored), its number may be a
    stranger's by now, which must not be killed.
    """
    if not hasattr(os, "waitid"):
        return True
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def kill(pid: int) -> None:
    """SIGKILL to the process itself (not to its children), which must not have been reaped yet."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def hang_up(pid: int) -> None:
    """SIGHUP to all that the process started and that stayed in its session's group, as when a terminal closes.

    What was meant to outlive it (nohup, a daemon) does. The process must not have been reaped yet.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGHUP)


class Reaper:
    """Waits for the ends of processes on a Reactor; belongs to the reactor's thread."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._waiting: dict[int, Callable[[int], None]] = {}
        self._descriptors: dict[int, int] = {}

    def wait(self, pid: int, callback: Callable[[int], None]) -> None:
        """Call `callback(return code)` when the process has ended: at once if it has.

        A process whose output has just ended is usually gone one turn later; only for the others a descriptor
        is spent (pidfd), or a look now and then where the system has none or no descriptor is left.
        """
        rc = try_wait(pid)
        if rc is not None:
            callback(rc)
            return
        self._waiting[pid] = callback
        self._reactor.call_soon(lambda: self._look(pid, callback, self._watch))

    def _look(self, pid: int, callback: Callable[[int], None], otherwise: Callable[[int], None]) -> None:
        if self._waiting.get(pid) is not callback:
            return
        rc = try_wait(pid)
        if rc is None:
            otherwise(pid)
            return
        del self._waiting[pid]
        callback(rc)

    def _watch(self, pid: int) -> None:
        callback = self._waiting[pid]
        fd = _pidfd(pid)
        bound = self._reactor.descriptor_bound
        if fd is not None and bound is not None and fd >= bound:
            os.close(fd)
            fd = None
        if fd is None:
            self._look_later(pid)
            return

        def ended(_mask: int) -> None:
            self._unwatch(pid)
            self._look(pid, callback, self._look_later)

        self._descriptors[pid] = fd
        self._reactor.watch(fd, READ, ended)

    def _unwatch(self, pid: int) -> None:
        fd = self._descriptors.pop(pid, None)
        if fd is not None:
            self._reactor.unwatch(fd)
            os.close(fd)

    def _look_later(self, pid: int) -> None:
        callback = self._waiting[pid]
        self._reactor.call_later(_LOOK_AGAIN, lambda: self._look(pid, callback, self._look_later))

    def reap(self, pid: int) -> int | None:
        """The return code of a process that has ended, None if it runs; a callback that waits for it is dropped."""
        rc = try_wait(pid)
        if rc is not None:
            self._waiting.pop(pid, None)
            self._unwatch(pid)
        return rc

    def adopt(self, pid: int) -> None:
        """Reap a killed process, in whose end nobody is interested; a callback that waits for it is dropped."""
        if pid in self._waiting:
            self._waiting[pid] = _nothing
            if pid in self._descriptors:
                self._unwatch(pid)
                self._watch(pid)
            else:
                self._look_later(pid)
        else:
            self.wait(pid, _nothing)

    def sweep(self, patience: float) -> None:
        """Reap what is left at the end of a run, waiting at most `patience` seconds in all; no callbacks.

        One that does not even die of SIGKILL (it hangs in the kernel) stays waited for.
        """
        end = time.monotonic() + patience
        for pid in list(self._waiting):
            rc = try_wait(pid)
            while rc is None and (left := end - time.monotonic()) > 0:
                _wait_for(pid, left)
                rc = try_wait(pid)
            if rc is not None:
                del self._waiting[pid]
                self._unwatch(pid)


def _nothing(_rc: int) -> None:
    """Somebody wanted to know once."""


def _pidfd(pid: int) -> int | None:
    opener = getattr(os, "pidfd_open", None)
    if opener is None:
        return None
    try:
        fd: int = opener(pid)
    except OSError:
        return None
    return fd


def _wait_for(pid: int, seconds: float) -> None:
    fd = _pidfd(pid)
    if fd is None:
        time.sleep(min(seconds, _LOOK_AGAIN))
        return
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(seconds * 1000)
    finally:
        os.close(fd)
