"""What commands made: runs, their events, options and outputs, in memory and on disk."""
