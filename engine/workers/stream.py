"""StreamWorker and WorkerSimple: events and results for descriptors that the caller opened."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterable
from typing import Any

from ..client import ClientState, EngineClient
from ..errors import EngineClientNotSupportedError, WorkerError
from ..fdclient import FdClient, closer, quietly
from ..states import NodeEnd, NodeState
from .base import FANOUT_UNLIMITED, Worker

__all__ = ["StreamClient", "StreamWorker", "WorkerSimple"]


class _Stream:
    """One descriptor of the caller: a number, or an object that has one and is kept alive."""

    __slots__ = ("closefd", "fd", "file", "reader", "retain", "sname")

    def __init__(self, sname: str, file: Any, retain: bool, closefd: bool, reader: bool) -> None:
        self.sname = sname
        self.file = file
        self.fd: int = file if isinstance(file, int) else file.fileno()
        self.retain = retain
        self.closefd = closefd
        self.reader = reader

    def closer(self) -> Callable[[], None]:
        """How to give it back."""
        if not self.closefd:
            with contextlib.suppress(OSError):
                blocking = os.get_blocking(self.fd)
                return quietly(lambda: os.set_blocking(self.fd, blocking))
            return lambda: None
        if isinstance(self.file, int):
            return closer(self.fd)
        return quietly(self.file.close)


class _Descriptor:
    """A descriptor of the caller's and its streams: a socket may be given for both directions.

    The loop wants a number for each, so the second stream gets a copy. The caller's own is given back with the last.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._streams: list[_Stream] = []
        self._used = 0
        self._give_back: Callable[[], None] = lambda: None

    def add(self, stream: _Stream) -> None:
        """One more stream is on it."""
        self._streams.append(stream)

    def take(self, stream: _Stream) -> tuple[int, Callable[[], None]]:
        """A number for a stream, and how to give it back. Raises OSError."""
        if self._used == 0:
            self._give_back = self.closer()  # made first: it knows the state that is to be restored
        fd = self._fd if self._used == 0 else os.dup(self._fd)
        self._used += 1

        def close() -> None:
            if len(self._streams) > 1 and not stream.reader:
                # The other side is to see the end, though the socket stays open for reading.
                _end_of_writing(fd)
            if fd != self._fd:
                os.close(fd)
            self._used -= 1
            if self._used == 0:
                self._give_back()

        return fd, close

    def closer(self) -> Callable[[], None]:
        """How to give the caller's own back."""
        return next((one for one in self._streams if one.closefd), self._streams[0]).closer()


def _end_of_writing(fd: int) -> None:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as same:
        same.shutdown(socket.SHUT_WR)


class StreamClient(FdClient):
    """The streams of one StreamWorker."""

    scarce = False

    def __init__(self, worker: StreamWorker, key: Any, timeout: float | None, autoclose: bool) -> None:
        super().__init__(worker, key, timeout, autoclose)
        self.streams: dict[tuple[str, bool], _Stream] = {}

    def _descriptors(self) -> dict[int, _Descriptor]:
        found: dict[int, _Descriptor] = {}
        for stream in self.streams.values():
            found.setdefault(stream.fd, _Descriptor(stream.fd)).add(stream)
        return found

    def start(self) -> None:
        """See EngineClient."""
        descriptors = self._descriptors()
        for stream in self.streams.values():
            fd, close = descriptors[stream.fd].take(stream)
            with contextlib.suppress(OSError):
                os.set_blocking(fd, False)
            if stream.reader:
                self.open_input(stream.sname, fd, close, stream.retain)
            else:
                self.open_output(stream.sname, fd, close, stream.retain)
        self.pickup()
        if self.running:
            self.write_early()
            self._check_drained()

    def drained(self) -> None:
        """See FdClient."""
        self.close_streams()
        self.finish(NodeEnd(NodeState.OK))

    def kill(self, timed_out: bool) -> None:
        """Close the streams; at a timeout what has no line end yet is handed out first."""
        rests = [(stream.sname, stream.lines.rest()) for stream in self.inputs.values()]
        if self.state is ClientState.RUNNING:
            self.close_streams()
        else:
            for descriptor in self._descriptors().values():
                descriptor.closer()()
        if timed_out:
            for sname, rest in rests:
                if rest:
                    self.report_lines(sname, rest)
        self.finish(self.killed(timed_out))


class StreamWorker(Worker):
    """Reads and writes descriptors of the caller's. handler and thread rule: see Worker.

    key: under which events and results come, by default the worker itself. stderr: kept for the interface.
    timeout: seconds from the start, None or negative = none. autoclose: does not keep the Task running. Ends when no
    retained stream is left; there is no return code: ev_hup gets None. Raises ValueError for a timeout that is no
    number.
    """

    _warns_timeout = True
    #: Streams have no return code: their end is told with None.
    _hups_without_rc = True

    def __init__(
        self,
        handler: Any | None,
        key: Any | None = None,
        stderr: bool = False,
        timeout: float | None = -1,
        autoclose: bool = False,
    ) -> None:
        super().__init__(handler)
        self.stderr = stderr
        self.timeout = timeout
        self.autoclose = autoclose
        self._fanout = FANOUT_UNLIMITED
        self._client = self._make_client(self if key is None else key)

    def _make_client(self, key: Any) -> EngineClient:
        return StreamClient(self, key, self.timeout, self.autoclose)

    def make_clients(self) -> Iterable[EngineClient]:
        """See Worker."""
        return [self._client]

    def result_keys(self) -> Iterable[Any]:
        """See Worker: the one key."""
        return [self._client.key]

    @property
    def key(self) -> Any:
        """The key that was given; None: events and results come under the worker itself."""
        key = self._client.key
        return None if key is self else key

    def set_key(self, key: Any) -> None:
        """Change the key of events and results. Raises WorkerError once started."""
        if self.started:
            raise WorkerError(f"set_key({key!r}): the worker has started")
        self._client.key = key

    def _check_key(self, node: Any | None) -> Any:
        return self._client.key if node is None else node

    def _debug_label(self, node: Any) -> str:
        return "LINE"

    def _set_current(self, node: Any) -> None:
        # current_node is for distant workers.
        return

    # -- streams

    def _set_stream(self, sname: str, file: Any, retain: bool, closefd: bool, reader: bool) -> None:
        if self.started:
            raise WorkerError(f"stream {sname!r} cannot be set: the worker is running")
        if not isinstance(self._client, StreamClient):
            raise WorkerError(f"stream {sname!r} cannot be set: {type(self).__name__} has streams of its own")
        self._client.streams[sname, reader] = _Stream(sname, file, retain, closefd, reader)

    def set_reader(self, sname: str, sfile: Any, retain: bool = True, closefd: bool = True) -> None:
        """Read lines from `sfile`, a descriptor or a file object, as the stream named `sname`.

        retain: the worker does not end before this stream does. closefd: it is closed then. Raises WorkerError once
        running.
        """
        self._set_stream(sname, sfile, retain, closefd, True)

    def set_writer(self, sname: str, sfile: Any, retain: bool = True, closefd: bool = True) -> None:
        """Write what `write` gets to `sfile`; sname, retain, closefd and errors as `set_reader`."""
        self._set_stream(sname, sfile, retain, closefd, False)

    def write(self, buf: bytes, sname: str | None = None) -> None:
        """Write bytes to the stream `sname`, or to all writers (None); any thread.

        What `buf` holds is kept until the start, and dropped after the end of the stream or of its reader.
        """
        self._in_task(lambda: self._client.write(buf, sname))

    def set_write_eof(self, sname: str | None = None) -> None:
        """Close the stream `sname`, or all writers (None), when all is written; may precede the start. Any thread."""
        self._in_task(lambda: self._client.set_write_eof(sname))

    # -- events

    def _on_end(self, node: Any, end: NodeEnd) -> None:
        super()._on_end(node, end)
        hup = self._handler().hup
        if hup is not None and self._hups_without_rc and self.started:
            hup(self, node, None)


class WorkerSimple(StreamWorker):
    """StreamWorker over up to three file objects (deprecated: use StreamWorker).

    file_reader is the stream "stdout", file_writer "stdin", file_error "stderr"; each may be None. The objects are
    kept alive, and closed at the end where closefd is true. key, handler, stderr, timeout (seconds), autoclose: as
    StreamWorker.
    """

    def __init__(
        self,
        file_reader: Any | None,
        file_writer: Any | None,
        file_error: Any | None,
        key: Any | None,
        handler: Any | None,
        stderr: bool = False,
        timeout: float | None = -1,
        autoclose: bool = False,
        closefd: bool = True,
    ) -> None:
        super().__init__(handler, key, stderr, timeout, autoclose)
        self._files = (file_reader, file_writer, file_error)
        if file_reader is not None:
            self.set_reader(self.SNAME_STDOUT, file_reader, closefd=closefd)
        if file_error is not None:
            self.set_reader(self.SNAME_STDERR, file_error, closefd=closefd)
        if file_writer is not None:
            # With something to read, the end of that is the end; a lone writer ends with its own.
            alone = file_reader is None and file_error is None
            self.set_writer(self.SNAME_STDIN, file_writer, retain=alone, closefd=closefd)

    def _fileno(self, index: int) -> int | None:
        file = self._files[index]
        if file is None:
            return None
        number: int = file if isinstance(file, int) else file.fileno()
        return number

    def reader_fileno(self) -> int | None:
        """Descriptor of the reader."""
        return self._fileno(0)

    def writer_fileno(self) -> int | None:
        """Descriptor of the writer."""
        return self._fileno(1)

    def error_fileno(self) -> int | None:
        """Descriptor of the error reader."""
        return self._fileno(2)

    def error(self) -> bytes | None:
        """The message on stderr, None if there is none."""
        return self.read(sname=self.SNAME_STDERR)


def write_or_leave(worker: Any) -> None:
    """Close a worker's input at once, if it has one (the default `stdin` is false)."""
    with contextlib.suppress(EngineClientNotSupportedError):
        worker.set_write_eof()
