"""TaskResults: reading what the last run of a Task left behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .gather import MsgTreeElem
from .results import Results


class TaskResults:
    """Getters of a Task over all its workers. All may be called from any thread; the answers are copies.

    Results last until the next `resume()`. Keys are node names, or the keys of local workers.
    """

    results: Results

    def key_buffer(self, key: Any) -> bytes:
        """A key's messages, of all workers, joined with nothing; b"" if there are none, also for unknown keys.

        Raises TaskMsgTreeError if the stream is not recorded (default `stdout_msgtree`).
        """
        return self.results.key_message(key, "stdout")

    node_buffer = key_buffer

    def key_error(self, key: Any) -> bytes:
        """A key's messages on stderr (default `stderr_msgtree`); else as `key_buffer`."""
        return self.results.key_message(key, "stderr")

    node_error = key_error

    def key_retcode(self, key: Any) -> int:
        """The highest return code of a key over all workers. Raises KeyError if it has none."""
        return self.results.key_retcode(key)

    node_retcode = key_retcode

    def max_retcode(self) -> int | None:
        """The highest return code of all, None if no command ended by itself (all timed out, say)."""
        return self.results.max_retcode()

    def iter_buffers(self, match_keys: Any = None) -> Iterator[tuple[MsgTreeElem, list[Any]]]:
        """Iterate over (message, list of its keys), one per distinct message.

        match_keys: a sequence of keys or a NodeSet, only these; none or empty = all. Raises TaskMsgTreeError at once if
        the stream is not recorded, and TypeError for a text.
        """
        return self._iter_messages("stdout", match_keys)

    def iter_errors(self, match_keys: Any = None) -> Iterator[tuple[MsgTreeElem, list[Any]]]:
        """As `iter_buffers`, of stderr; match_keys as there."""
        return self._iter_messages("stderr", match_keys)

    def _iter_messages(self, sname: str, match_keys: Any) -> Iterator[tuple[MsgTreeElem, list[Any]]]:
        if isinstance(match_keys, str):
            raise TypeError(f"match_keys must be a sequence of keys or a NodeSet, not the string {match_keys!r}")
        groups = self.results.groups(sname)
        if not match_keys:
            return iter(groups)
        kept = ((elem, [key for key in keys if key in match_keys]) for elem, keys in groups)
        return ((elem, keys) for elem, keys in kept if keys)

    def iter_retcodes(self, match_keys: Any = None) -> Iterator[tuple[int, list[Any]]]:
        """Iterate over (return code, list of its keys). Keys that timed out or were aborted have none.

        match_keys: only these keys; then every code comes, also with no key left. None or empty = all.
        """
        codes = self.results.retcodes()
        for rc, keys in codes.items():
            yield rc, (keys if not match_keys else [key for key in keys if key in match_keys])

    def num_timeout(self) -> int:
        """How many keys timed out; one that did so in two workers counts twice."""
        return len(self.results.timeouts())

    def iter_keys_timeout(self) -> Iterator[Any]:
        """Iterate over the keys that timed out, per worker."""
        return iter(self.results.timeouts())

    def iter_cut(self) -> Iterator[tuple[Any, int]]:
        """Iterate over (key, bytes) of output that was not kept, per worker, as info `buffer_limit` says."""
        return iter(self.results.cut())

    def flush_buffers(self) -> None:
        """Forget all messages."""
        self.results.flush("stdout")

    def flush_errors(self) -> None:
        """Forget all messages on stderr."""
        self.results.flush("stderr")
