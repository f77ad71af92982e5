"""Executes commands for any front end: context, targets, the safety rail, recording."""
