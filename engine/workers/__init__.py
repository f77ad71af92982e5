"""What runs a command: one module per way of reaching a node."""
