"""One node's copy, out or back: session, steps and clean-up put together behind `begin`, `stop` and `done`."""

from __future__ import annotations

import os
from collections.abc import Callable

from ..reactor import Deadline
from ..states import Failure, FailureKind
from . import wire
from .background import Background
from .download import Download, DownloadOptions
from .peer import Peer
from .safe_folder import SafeFolder
from .sftp import REMOVE, SftpClient
from .steps import CopyRefusedError, Steps
from .tidy import Tidy
from .transfer import Progress, reason
from .tree import SharedReader, Tree, list_tree
from .upload import Upload, UploadOptions

Done = Callable[[Failure | None], None]
Tell = Callable[[int, int], None]
#: Seconds that removing temporary files may take when a copy is stopped.
_TIDY = 1.0


class Source:
    """A local file or folder for many nodes: listed once, by `disk`, and read once. `close()` when all are done."""

    def __init__(self, disk: Background, path: str) -> None:
        self.reader = SharedReader()
        self._waiting: list[Callable[[Tree | None, Exception | None], None]] = []
        self._tree: Tree | None = None
        self._error: Exception | None = None
        self._known = False
        disk.run(lambda: list_tree(path), self._listed)

    def _listed(self, tree: Tree | None, error: Exception | None) -> None:
        self._tree, self._error, self._known = tree, error, True
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback(tree, error)

    def get(self, callback: Callable[[Tree | None, Exception | None], None]) -> None:
        """The listing, or why there is none; now or later."""
        if self._known:
            callback(self._tree, self._error)
        else:
            self._waiting.append(callback)

    def close(self) -> None:
        """Give descriptors and memory back."""
        self._waiting.clear()
        self.reader.close()


class _Copy:
    """A copy over one SFTP session."""

    def __init__(self, peer: Peer, tell: Tell, done: Done) -> None:
        self.peer = peer
        self.progress = Progress(tell)
        self._done = done
        self._client = SftpClient(peer, self._ready, self._broken)
        self._steps: Steps | None = None
        self._tidy: Deadline | None = None
        self._doomed: set[bytes] = set()
        self._over = False

    def begin(self) -> None:
        """Start."""
        self._client.begin()

    def _ready(self) -> None:
        raise NotImplementedError

    def _clean(self) -> None:
        """Give local things back."""

    def _broken(self, failure: Failure) -> None:
        self._stop_steps()
        self._finish(failure)

    def _stop_steps(self) -> None:
        """No further step; temporary files are known from here on as those that are to be removed."""
        steps, self._steps = self._steps, None
        if steps is not None:
            steps.stop()
            self._client.forget_requests()
            self._doomed = self.temporaries()

    def _stepped(self, error: Exception | None) -> None:
        self._steps = None
        self._finish(None if error is None else reason(self.peer.label, error))

    def _finish(self, failure: Failure | None) -> None:
        if self._over:
            return
        self._over = True
        self._end()
        if failure is None:
            self.progress.finish()
        self._done(failure)

    def _end(self) -> None:
        if self._tidy is not None:
            self._tidy.cancel()
        self._clean()
        self._client.end()
        if self._doomed:
            Tidy(self.peer, self._doomed)

    def temporaries(self) -> set[bytes]:
        """Files on the node that are to be removed when the copy is stopped."""
        return set()

    def stop(self) -> bool:
        """Stop. True: `done` is called when temporary files are gone; False: nothing is left, it is not called."""
        self._stop_steps()
        if not self._doomed or self._over or self._client.finished:
            self.drop()
            return False

        def removed(path: bytes) -> None:
            self._doomed.discard(path)
            if not self._doomed:
                self._finish(None)

        for path in list(self._doomed):
            self._client.ask(REMOVE, lambda _kind, _fields, path=path: removed(path), wire.string(path))  # type: ignore[misc]
        words = f"{self.peer.label}: stopped; temporary files (.clusterdeck-*) may be left until the next connection"
        late = Failure(FailureKind.COPY, words)
        self._tidy = self.peer.pool.reactor.call_later(_TIDY, lambda: self._finish(late))
        return True

    def drop(self) -> None:
        """Stop at once, without a word."""
        self._over = True
        self._stop_steps()
        self._end()


class CopyOut(_Copy):
    """To the node."""

    def __init__(self, peer: Peer, source: Source, options: UploadOptions, tell: Tell, done: Done) -> None:
        super().__init__(peer, tell, done)
        self._source = source
        self._options = options
        self._upload: Upload | None = None
        self._tree: Tree | None = None

    def begin(self) -> None:
        """See _Copy: first what there is to be copied."""
        self._source.get(self._listed)

    def _listed(self, tree: Tree | None, error: Exception | None) -> None:
        if self._over:
            return
        if tree is None:
            self._finish(reason(self.peer.label, error or OSError("no such file")))
            return
        self._tree = tree
        super().begin()

    def _ready(self) -> None:
        assert self._tree is not None
        upload = self._upload = Upload(self._client, self._tree, self._source.reader, self._options, self.progress)
        self._steps = Steps(self._client, upload.work(), self._stepped)
        self._steps.start()

    def temporaries(self) -> set[bytes]:
        """See _Copy."""
        return set(self._upload.temporaries) if self._upload is not None else set()


class CopyBack(_Copy):
    """From the node, into the local folder `dest`."""

    def __init__(self, peer: Peer, dest: str, options: DownloadOptions, tell: Tell, done: Done) -> None:
        super().__init__(peer, tell, done)
        self._dest = dest
        self._options = options
        self._download: Download | None = None

    def _ready(self) -> None:
        options = self._options
        try:
            if options.folder:
                os.makedirs(self._dest, exist_ok=True)
            folder = SafeFolder.open(self._dest)
            if options.folder:
                # Others may write to the destination, and may have put a link in the place of a node's folder.
                folder = folder.replaced_by(options.folder, options.limits)
        except (OSError, CopyRefusedError) as error:
            self._finish(reason(self.peer.label, error))
            return
        download = self._download = Download(self._client, folder, options, self.progress)
        self._steps = Steps(self._client, download.work(), self._stepped)
        self._steps.start()

    def _clean(self) -> None:
        if self._download is not None:
            self._download.close()

    def _finish(self, failure: Failure | None) -> None:
        download = self._download
        if failure is None and download is not None and download.left_out_count:
            some = "; ".join(download.left_out[:2])
            words = f"{self.peer.label}: {download.left_out_count} left out: {some}"
            failure = Failure(FailureKind.COPY, words)
        super()._finish(failure)
