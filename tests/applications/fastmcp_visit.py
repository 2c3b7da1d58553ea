"""What FastMCP's own client sees of the server at the address that is named; prints it."""

import asyncio
import json
import sys
import time
from pathlib import Path

from fastmcp import Client

address, gate = sys.argv[1], Path(sys.argv[2])
steps: list[float] = []


async def note(progress: float, total: float | None, message: str | None) -> None:
    del total, message
    steps.append(progress)
    gate.touch()


async def main() -> None:
    begun = time.monotonic()
    async with Client(f"{address}/mcp") as client:
        opened = time.monotonic() - begun
        tools = sorted(tool.name for tool in await client.list_tools())
        added = await client.call_tool("add", {"one": 2, "other": 3})
        climbed = await client.call_tool("climb", {"steps": 4, "gate": str(gate)}, progress_handler=note)
    found = {"opened_s": opened, "tools": tools, "sum": added.data, "climbed": climbed.data, "steps": steps}
    print(json.dumps(found))


asyncio.run(main())
