"""Gates: how a test stops a view of the application at a known place and lets it go on.

A gate is two files. The view makes `NAME.entered` and waits for `NAME.open`; the test waits for the
first and makes the second. So "while a view is busy" is a state that the test holds, not a time
that it hopes for.
"""

from __future__ import annotations

from pathlib import Path

from .poll import eventually


class Gates:
    """The gates of one server; the application finds the folder in `LAB_GATES`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        return {"LAB_GATES": str(self.folder)}

    def wait_entered(self, name: str, within: float = 10.0) -> None:
        """Wait until a view has come to the gate."""
        eventually(
            lambda: self.marked(f"{name}.entered"),
            within=within,
            what=lambda: f"gate {name!r} entered; there is {self.marks()}",
        )

    def entered(self, name: str) -> bool:
        return self.marked(f"{name}.entered")

    def open(self, name: str) -> None:
        """Let the view go on."""
        (self.folder / f"{name}.open").touch()

    def marked(self, name: str) -> bool:
        """Whether the application left this mark."""
        return (self.folder / name).exists()

    def wait_marked(self, name: str, within: float = 10.0) -> None:
        eventually(
            lambda: self.marked(name),
            within=within,
            what=lambda: f"mark {name!r}; there is {self.marks()}",
        )

    def marks(self) -> list[str]:
        return sorted(entry.name for entry in self.folder.iterdir())
