"""Layouts (tcss) and colour themes (toml): data only."""
