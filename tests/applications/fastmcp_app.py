"""A server of the Model Context Protocol by FastMCP, over streamed HTTP."""

import asyncio
from pathlib import Path

from fastmcp import Context, FastMCP

mcp = FastMCP("laboratory")


@mcp.tool
def add(one: int, other: int) -> int:
    return one + other


@mcp.tool
async def climb(context: Context, steps: int, gate: str) -> str:
    """Report each step while the call goes on, and end only when the client has seen the first."""
    for step in range(steps):
        await context.report_progress(step, steps)
        while step == 0 and not Path(gate).exists():
            await asyncio.sleep(0.01)
    return "at the top"


app = mcp.http_app(path="/mcp")
