"""The prompt_toolkit side: prompt, completer, lexer, keys, style."""
