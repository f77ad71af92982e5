"""The batch front end: `clusterdeck run` and what it prints."""
