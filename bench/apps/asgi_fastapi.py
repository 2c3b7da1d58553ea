"""Answer with JSON that FastAPI makes of a model: what most ASGI applications are like."""

from fastapi import FastAPI
from pydantic import BaseModel


class Item(BaseModel):
    id: int
    name: str
    tags: list[str]
    price: float


ITEM = Item(id=7, name="oxicorn", tags=["fast", "plain"], price=12.5)
app = FastAPI()


@app.get("/")
async def item() -> Item:
    return ITEM
