"""clusterdeck: a live console for clusters, and the engine under it as a library."""

__version__ = "0.1.0"
