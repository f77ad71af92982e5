"""The console's task queue over node slots, here or in another process."""
