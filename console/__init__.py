"""One operator's session over the engine: commands, runs, macros and the three front ends."""
