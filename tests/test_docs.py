"""The pages of the manual lead somewhere: their links resolve, and the tests that they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])


def names(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_links_resolve(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target, anchor in re.findall(r"\]\(([^)#\s]+)(?:#([^)\s]+))?\)", prose):
        if "://" in target or target.startswith("mailto:"):
            continue
        found = (page.parent / target).resolve()
        assert found.exists(), f"{names(page)} links {target}"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), f"{names(page)} links {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """The headings of a page, as links spell them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_leads_to_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")} - {"index.md"}
    assert {page for page in pages if f"]({page})" not in index} == set()


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_the_tests_that_are_named_exist(page: Path) -> None:
    for file, function in re.findall(r"`(test_[\w*]+\.py)(?:::(test_\w+))?`", page.read_text()):
        found = list((ROOT / "tests").glob(file))
        assert found, f"{names(page)} names {file}"
        if function:
            assert f"def {function}(" in found[0].read_text(), f"{names(page)} names {file}::{function}"
