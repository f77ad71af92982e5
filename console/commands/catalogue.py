"""All families of commands in one registry, in the order of the manual."""

from __future__ import annotations

from ..language.registry import Registry
from . import abort, copy, nodes, queue_nodes, runs, screen, settings, shell, timer, view
from . import help as help_family
from . import macro as macro_family
from . import queue as queue_family

_FAMILIES = (
    shell, copy, timer, abort, nodes, runs, view, screen, queue_family, queue_nodes, macro_family, settings,
    help_family,
)  # fmt: skip


def default_registry() -> Registry:
    """The commands of the console."""
    return Registry(spec for family in _FAMILIES for spec in family.SPECS)
