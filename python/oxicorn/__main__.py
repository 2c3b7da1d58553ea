"""The command: `oxicorn` and `python -m oxicorn`."""

# No other import stands here: `python -m` has put the current directory on the path.
import sys

from oxicorn import _oxicorn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> "NoReturn":
    """Run the server and leave with its exit status.

    A worker is forked within this call and leaves through here as well, so that `atexit` handlers run.
    """
    if sys.argv[1:2] == ["ctl"]:
        sys.exit(control(sys.argv[2:]))
    if sys.argv[1:2] == ["run"]:
        from oxicorn import imports

        imports.prepare()
        from oxicorn import program

        program.run(sys.argv[2:])
    sys.exit(_oxicorn.main(sys.argv[1:]))


def control(arguments: "list[str]") -> int:
    """Run `oxicorn ctl`, which needs nothing of the project: no module of that directory is imported for it."""
    here = sys.modules["os"].getcwd()
    sys.path[:] = [entry for entry in sys.path if entry not in ("", here)]
    from oxicorn import ctl

    return ctl.main(arguments)


if __name__ == "__main__":
    main()
