"""FdClient: a client made of descriptors (pipes, files, sockets) that are read by lines and written from queues."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from typing import Any

from .client import ClientState, ClientWorker, EngineClient
from .reactor import READ, WRITE
from .streams import CHUNK, InputStream, OutputStream


class FdClient(EngineClient):
    """Reads and writes descriptors; subclasses open them in `start` and give `drained`.

    Streams are known by name; a name may have one input and one output.
    """

    def __init__(self, worker: ClientWorker, key: Any, timeout: float | None = None, autoclose: bool = False) -> None:
        super().__init__(worker, key, timeout, autoclose)
        self.inputs: dict[str, InputStream] = {}
        self.outputs: dict[str, OutputStream] = {}
        #: What was written before the start, by stream (None: all), and whether its end was asked for.
        self._early: list[tuple[str | None, bytes | None]] = []
        self._held = False

    def drained(self) -> None:
        """No stream that is waited for is left; called once at most per start."""
        raise NotImplementedError

    # -- opening (in `start`)

    def open_input(self, sname: str, fd: int, close: Callable[[], None], retain: bool = True) -> None:
        """Read lines from `fd`; `close` gives it back."""
        stream = InputStream(sname, fd, retain, close, self.loop.info("line_limit"))
        self.inputs[sname] = stream
        self._held = self.loop.holding
        if not self._held:
            self._watch_input(stream)

    def open_output(self, sname: str, fd: int, close: Callable[[], None], retain: bool = False) -> None:
        """Write queued bytes to `fd`; `close` gives it back."""
        self.outputs[sname] = OutputStream(sname, fd, retain, close)

    def write_early(self) -> None:
        """Queue what was written before the streams were open."""
        early, self._early = self._early, []
        for sname, data in early:
            if data is None:
                self.set_write_eof(sname)
            else:
                self.write(data, sname)

    @property
    def wants_output(self) -> bool:
        """Whether anything may still be written: not if the end was asked for before the start, with no data."""
        return not self._early or self._early[0][1] is not None

    # -- reading

    def _watch_input(self, stream: InputStream) -> None:
        self.loop.reactor.watch(stream.fd, READ, lambda _mask: self._readable(stream))

    def hold(self, flag: bool) -> None:
        """See EngineClient."""
        if flag == self._held or self.state is not ClientState.RUNNING:
            return
        self._held = flag
        for stream in self.inputs.values():
            if flag:
                self.loop.reactor.unwatch(stream.fd)
            else:
                self._watch_input(stream)

    def _readable(self, stream: InputStream) -> None:
        try:
            data = os.read(stream.fd, CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            # EIO of a terminal whose other side is gone, ECONNRESET of a socket: the stream is over.
            data = b""
        if data:
            lines = stream.lines.feed(data)
            if lines:
                self.report_lines(stream.sname, lines)
            return
        self._input_ended(stream)

    def _input_ended(self, stream: InputStream) -> None:
        self._close_input(stream)
        rest = stream.lines.rest()
        if rest:
            self.report_lines(stream.sname, rest)
        self._check_drained()

    def _check_drained(self) -> None:
        if self.state is not ClientState.RUNNING:
            return
        if any(stream.retain for stream in self.inputs.values()):
            return
        if any(stream.retain for stream in self.outputs.values()):
            return
        self.drained()

    def _close_input(self, stream: InputStream) -> None:
        if self.inputs.get(stream.sname) is stream:
            del self.inputs[stream.sname]
            self.loop.reactor.unwatch(stream.fd)
            stream.close()

    # -- writing

    @property
    def _early_yet(self) -> bool:
        """Whether there is nothing to write to yet: what is written is kept for `write_early`."""
        return self.state < ClientState.RUNNING or (self.state is ClientState.RUNNING and not self.picked)

    def write(self, data: bytes, sname: str | None = None) -> None:
        """See EngineClient."""
        if self._early_yet:
            self._early.append((sname, bytes(data)))
            return
        for stream in self._targets(sname):
            if data and not stream.ending:
                stream.queue.append(bytes(data))
                self._watch_output(stream)

    def set_write_eof(self, sname: str | None = None) -> None:
        """See EngineClient."""
        if self._early_yet:
            self._early.append((sname, None))
            return
        for stream in self._targets(sname):
            stream.ending = True
            if not stream.queue:
                self._output_ended(stream)

    def _targets(self, sname: str | None) -> list[OutputStream]:
        if sname is None:
            return list(self.outputs.values())
        stream = self.outputs.get(sname)
        return [] if stream is None else [stream]

    def _watch_output(self, stream: OutputStream) -> None:
        if not stream.watched:
            stream.watched = True
            self.loop.reactor.watch(stream.fd, WRITE, lambda _mask: self._writable(stream))

    def _unwatch_output(self, stream: OutputStream) -> None:
        if stream.watched:
            stream.watched = False
            self.loop.reactor.unwatch(stream.fd)

    def _writable(self, stream: OutputStream) -> None:
        try:
            size = stream.write() if stream.queue else 0
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            # EPIPE: nobody reads it any more. Other errors (ENOSPC of a file) end the stream just so.
            stream.queue.clear()
            self._output_ended(stream)
            self.worker._on_deaf(self.key, stream.sname)
            return
        if size:
            self.worker._on_written(self.key, stream.sname, size)
        if not stream.queue and self.outputs.get(stream.sname) is stream:
            self._unwatch_output(stream)
            if stream.ending:
                self._output_ended(stream)

    def _output_ended(self, stream: OutputStream) -> None:
        if self.outputs.get(stream.sname) is stream:
            del self.outputs[stream.sname]
            self._unwatch_output(stream)
            stream.close()
            if stream.retain:
                self._check_drained()

    # -- the end

    def close_streams(self) -> None:
        """Give every descriptor back; idempotent."""
        for stream in list(self.inputs.values()):
            self._close_input(stream)
        for output in list(self.outputs.values()):
            del self.outputs[output.sname]
            self._unwatch_output(output)
            output.close()


def closer(fd: int) -> Callable[[], None]:
    """How to give back a descriptor of our own; one that is gone already is none of our business."""

    def close() -> None:
        try:
            os.close(fd)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise

    return close


def quietly(call: Callable[[], object]) -> Callable[[], None]:
    """`call` without its OSError and ValueError: closing a file that its owner closed already."""

    def quiet() -> None:
        with contextlib.suppress(OSError, ValueError):
            call()

    return quiet
