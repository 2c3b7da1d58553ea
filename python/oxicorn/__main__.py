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
    sys.exit(_oxicorn.main(sys.argv[1:]))


if __name__ == "__main__":
    main()
