"""Plans of logging in: which keys there are, read once for all nodes with the same settings.

After a login has failed they are read anew when the next nodes are dialled: by then a key may have been added to the
agent, or an agent started. Keys whose passphrase was given stay open.
"""

from __future__ import annotations

from collections.abc import Callable

from .background import Background
from .config_values import HostConfig
from .keys import agent_path
from .login_plan import Plan, make_plan

_Key = tuple[tuple[str, ...], tuple[str, ...], str | None, bool]


class Plans:
    """The reactor's thread only; files and the agent are read in the background."""

    def __init__(self, loader: Background) -> None:
        self._loader = loader
        self._plans: dict[_Key, Plan | list[Callable[[Plan], None]]] = {}
        #: What was known before a login failed.
        self._former: dict[_Key, Plan] = {}
        self._doubtful = False

    def get(self, config: HostConfig, done: Callable[[Plan], None], *, first: bool) -> None:
        """What to log in with; `done` may be called before this returns. first: nothing is being dialled yet."""
        if first and self._doubtful:
            self._doubtful = False
            self._former |= {key: plan for key, plan in self._plans.items() if isinstance(plan, Plan)}
            self._plans = {key: waiting for key, waiting in self._plans.items() if not isinstance(waiting, Plan)}
        key = (
            config.identity_files,
            config.certificate_files,
            agent_path(config.identity_agent),
            config.identities_only,
        )
        found = self._plans.get(key)
        if isinstance(found, Plan):
            done(found)
        elif found is not None:
            found.append(done)
        else:
            self._plans[key] = [done]
            self._loader.run(lambda: make_plan(*key), lambda plan, error: self._loaded(key, plan, error))

    def _loaded(self, key: _Key, plan: Plan | None, error: Exception | None) -> None:
        result = plan or Plan(notes=[f"keys could not be read: {type(error).__name__}"])
        former = self._former.pop(key, None)
        opened = {} if former is None else {one.blob: one.sign for one in former.identities if one.path is not None}
        for identity in result.identities:
            if identity.sign is None:
                identity.sign = opened.get(identity.blob)
        waiting, self._plans[key] = self._plans.get(key), result
        for callback in waiting if isinstance(waiting, list) else ():
            callback(result)

    def all(self) -> list[Plan]:
        """All that were read."""
        return [*self._former.values(), *(plan for plan in self._plans.values() if isinstance(plan, Plan))]

    def login_failed(self) -> None:
        """None of a plan's keys was taken."""
        self._doubtful = True

    def forget(self) -> None:
        """Read all of them again."""
        self._plans.clear()
        self._former.clear()
