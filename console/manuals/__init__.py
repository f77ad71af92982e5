"""Help and manuals made from the registry and the argument parser."""
