"""Answer with JSON that Litestar makes of a dictionary."""

from typing import Any

from litestar import Litestar, get

ITEM = {"id": 7, "name": "oxicorn", "tags": ["fast", "plain"], "price": 12.5}


@get("/")
async def item() -> dict[str, Any]:
    return ITEM


app = Litestar(route_handlers=[item])
