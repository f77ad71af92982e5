"""TaskSettings: the defaults and the info of a Task."""

from __future__ import annotations

from typing import Any

from .defaults import initial_defaults, initial_info, load_worker_class
from .loop import Engine

_WORKER_NAMES = {"local_workername": "local_worker", "distant_workername": "distant_worker"}


class TaskSettings:
    """Values that steer a Task: defaults (how workers are made) and info (how the loop and the workers behave).

    Reading is thread-safe. `set_default` takes effect at once; `set_info` of a running Task from another thread
    takes effect in the Task's thread. Any key may be used; those beginning with USER_ will never be ours.
    """

    engine: Engine

    def _init_settings(self, defaults: Any) -> None:
        """Copy the values; KeyError or ImportError for unknown names."""
        self._defaults = initial_defaults(defaults)
        self._info = initial_info(defaults)

    def default(self, default_key: str, def_val: Any = None) -> Any:
        """The value of `default_key`, `def_val` if it is not set. Any thread."""
        return self._defaults.get(default_key, def_val)

    def set_default(self, default_key: str, value: Any) -> None:
        """Set `default_key` to `value`, at once and from any thread; it counts for what is scheduled afterwards.

        A worker's name sets the class that goes with it. Raises ImportError if there is none.
        """
        class_key = _WORKER_NAMES.get(default_key)
        if class_key is not None:
            self._defaults[class_key] = load_worker_class(value)
        self._defaults[default_key] = value

    def info(self, info_key: str, def_val: Any = None) -> Any:
        """The value of `info_key`, `def_val` if it is not set. Any thread."""
        return self._info.get(info_key, def_val)

    def set_info(self, info_key: str, value: Any) -> None:
        """Set `info_key` to `value`; from another thread than the Task's it takes effect at the next turn of its run.

        `fanout` is read live, the rest when a command starts. Times are seconds, sizes bytes.
        """
        if self.engine.running and not self.engine.in_own_thread():
            self.engine.submit(lambda: self._info.__setitem__(info_key, value))
        else:
            self._info[info_key] = value

    def records(self, sname: str) -> bool:
        """Whether messages of the stream `sname` are kept now (default `<sname>_msgtree`)."""
        return bool(self._defaults.get(sname + "_msgtree", False))

    def buffer_limit(self) -> int | None:
        """Bytes of each message that are kept (info `buffer_limit`), None = all."""
        limit: int | None = self._info.get("buffer_limit")
        return limit

    def print_debug(self, text: str) -> None:
        """A line for the info value `print_debug`, if `debug` is on."""
        if self._info.get("debug"):
            self._info["print_debug"](self, text)
