"""A queue of tasks that survives the loss of the workers that take them."""
