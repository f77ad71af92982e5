"""Where the queue is kept: memory, SQLite or Redis."""
