"""One session: the engine in its thread, the way in and the way out, and who may run where."""
