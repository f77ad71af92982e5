"""The registry of commands and one module per family."""
