"""What a browser and Gradio's own client do with the page at the address that is named; prints what came of it."""

import hashlib
import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import httpx
from gradio_client import Client

address = sys.argv[1]
spec = find_spec("gradio")
assert spec is not None and spec.origin is not None
files = Path(spec.origin).parent / "templates" / "frontend"

with httpx.Client(base_url=address) as browser:
    page = browser.get("/")
    assets = sorted(set(re.findall(r"\./(assets/[\w.-]+)", page.text)))
    wrong = []
    for asset in assets:
        answer = browser.get(f"/{asset}")
        if answer.status_code != 200 or answer.content != (files / asset).read_bytes():
            wrong.append((asset, answer.status_code, hashlib.sha256(answer.content).hexdigest()))

client = Client(address, verbose=False)
job = client.submit(3, api_name="/count")
job.result(timeout=30)
found = {
    "status": page.status_code,
    "assets": len(assets),
    "wrong": wrong,
    "greeting": client.predict("Ada", api_name="/greet"),
    "numbers": job.outputs(),
}
print(json.dumps(found))
