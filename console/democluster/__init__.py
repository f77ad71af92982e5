"""The demo cluster: a few dozen pretended nodes behind one real SSH server process on loopback."""
