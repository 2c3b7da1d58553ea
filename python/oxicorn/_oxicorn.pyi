"""Types of the extension module."""

from typing import Final

__all__ = ["__version__", "main", "write_log"]

__version__: Final[str]

def main(argv: list[str]) -> int:
    """Run the command line `argv` (without the program's name) and return its exit status."""

def write_log(level: int, line: str) -> None:
    """Write one formatted line to the error log; `level` is that of `logging` and chooses the colour."""
