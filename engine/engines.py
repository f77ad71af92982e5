"""The three ways of waiting for descriptors, under the names that scripts ask for."""

from __future__ import annotations

from .loop import Engine

__all__ = ["EngineEPoll", "EnginePoll", "EngineSelect"]


class EngineSelect(Engine):
    """select(): everywhere, but only for descriptor numbers below 1024. Arguments: see Engine."""

    identifier = "select"


class EnginePoll(Engine):
    """poll(). Arguments: see Engine."""

    identifier = "poll"


class EngineEPoll(Engine):
    """epoll: Linux. Arguments: see Engine."""

    identifier = "epoll"
