"""`python -m clusterdeck` is the `clusterdeck` command."""

from .console.cli import script

if __name__ == "__main__":
    script()
