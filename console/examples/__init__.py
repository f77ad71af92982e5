"""Macros that come with clusterdeck, played by their names."""
