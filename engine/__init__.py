"""The Task engine: nodes, commands and bytes; no screen."""
