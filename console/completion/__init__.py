"""What may be typed next, for any prompt."""
