"""Text lines to commands and back: words, values, specs and the registry. Runs nothing."""
