"""Macros: files of lines that are checked as a whole, trusted, and played."""
