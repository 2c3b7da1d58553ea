"""The settings as hooks see them: `server.cfg` and `worker.cfg`."""

from __future__ import annotations

from typing import Any


class Config:
    """The resolved settings, each an attribute under its name."""

    def __init__(self, values: dict[str, Any]) -> None:
        """Keep `values`, the resolved settings by name."""
        self.values = values

    def __getattr__(self, name: str) -> Any:
        """Return the value of the setting `name`."""
        try:
            return self.__dict__["values"][name]
        except KeyError:
            raise AttributeError(f"No configuration setting for: {name}") from None

    def set(self, name: str, value: Any) -> None:
        """Change what later readers of this object see; the server itself has read its settings."""
        if name not in self.values:
            raise AttributeError(f"No configuration setting for: {name}")
        self.values[name] = value

    @property
    def address(self) -> list[str]:
        """The addresses to listen on."""
        return list(self.values["bind"])

    @property
    def env(self) -> dict[str, str]:
        """`raw_env` as a mapping."""
        return dict(pair.split("=", 1) for pair in self.values["raw_env"])

    def __str__(self) -> str:
        """List every setting on a line of its own, as Gunicorn does."""
        width = max(map(len, self.values))
        return "\n".join(f"{name:{width}} = {self.values[name]}" for name in sorted(self.values))
