"""Answer with JSON that Starlette makes."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

ITEM = {"id": 7, "name": "oxicorn", "tags": ["fast", "plain"], "price": 12.5}


async def item(_request: Request) -> JSONResponse:
    return JSONResponse(ITEM)


app = Starlette(routes=[Route("/", item)])
