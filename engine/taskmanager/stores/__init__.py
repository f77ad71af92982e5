"""Where the queue is kept: memory, SQLite or Redis; `open_store` picks one by its address."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from .base import Store
from .memory import MemoryStore

#: Schemes of a Redis or Valkey server.
REDIS_SCHEMES = ("redis", "rediss", "unix")


def open_store(address: str | None = None, **options: Any) -> Store:
    """The store at an address: None or "memory://", "sqlite:///path", "redis://", "rediss://", "unix://".

    options: of the store's class (limit, factor, ...). Raises ValueError for another scheme, StoreUnavailable when it
    cannot be opened.
    """
    scheme = "memory" if address is None else urlsplit(address).scheme
    if scheme == "memory":
        return MemoryStore(**options)
    assert address is not None
    if scheme == "sqlite":
        from .sqlite import SQLiteStore  # kept out of the start-up of programs that need no journal

        return SQLiteStore.at(address, **options)
    if scheme in REDIS_SCHEMES:
        from .redis import RedisStore  # needs the optional package redis

        return RedisStore.at(address, **options)
    raise ValueError(f"store {address!r}: use memory://, sqlite:///path, redis://, rediss:// or unix://")


__all__ = ["MemoryStore", "Store", "open_store"]
