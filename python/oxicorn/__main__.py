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
    if sys.argv[1:2] in (["ctl"], ["top"]):
        sys.exit(control(*sys.argv[1:]))
    if sys.argv[1:2] == ["run"]:
        from oxicorn import imports

        imports.prepare()
        from oxicorn import program

        program.run(sys.argv[2:])
    sys.exit(_oxicorn.main(sys.argv[1:]))


def control(command: str, *arguments: str) -> int:
    """Run `oxicorn ctl` or `oxicorn top`, for which no module of the project's directory is imported."""
    os = sys.modules["os"]
    here = os.getcwd()
    if any(name in os.listdir(here) for name in (f"{command}.py", command)):
        sys.stderr.write(f"note: to serve the module {command} of this directory, write {command}:application\n")
    sys.path[:] = [entry for entry in sys.path if entry not in ("", here)]
    from oxicorn import ctl, top

    run = top.main if command == "top" else ctl.main
    return run(list(arguments))


if __name__ == "__main__":
    main()
