"""Which tests Gunicorn has to pass as well, and which show where Oxicorn does better on purpose.

Both marks mean nothing to Oxicorn. `make test-parity` runs the marked tests against Gunicorn too:
those that are `parity` must pass there, those that are `better` must fail there. So every word of
docs/migrate/gunicorn.md about the other server is something that it was seen to do.
"""

from __future__ import annotations

import pytest

from .server import NAME

#: The same promise, kept by both. With arguments, for instance `parity("gthread")`, it is compared
#: for those worker classes only: Gunicorn's `sync` keeps no connection, its threads have no QUIT.
parity = pytest.mark.parity

#: A promise that Gunicorn does not keep; the migration page has its line. `better(always=False)` where
#: it depends on the moment whether Gunicorn does.
better = pytest.mark.better


def apply(items: list[pytest.Item]) -> list[pytest.Item]:
    """Make the marks true for the server under test; returns the items that do not concern it."""
    if NAME == "oxicorn":
        return []
    for item in items:
        if marker := item.get_closest_marker("better"):
            always = marker.kwargs.get("always", True)
            item.add_marker(pytest.mark.xfail(reason=f"{NAME} does otherwise", strict=always))
    return [item for item in items if not _concerned(item)]


def _concerned(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("parity")
    parameters = getattr(item, "callspec", None)
    kind = parameters.params.get("kind") if parameters else None
    return not marker or not marker.args or kind is None or kind in marker.args
