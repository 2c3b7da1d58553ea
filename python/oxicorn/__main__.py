"""The command: `oxicorn` and `python -m oxicorn`."""

import sys
from typing import NoReturn

from oxicorn import _oxicorn


def main() -> NoReturn:
    """Run the server and leave with its exit status.

    A worker is forked within this call and leaves through here as well, so that `atexit` handlers run.
    """
    sys.exit(_oxicorn.main(sys.argv[1:]))


if __name__ == "__main__":
    main()
