"""A page of Gradio's, mounted at the root of a FastAPI application as its manual has it."""

import gradio
from fastapi import FastAPI


def greet(name: str) -> str:
    return f"Hello {name}"


def count(last: float):
    yield from range(1, int(last) + 1)


with gradio.Blocks() as page:
    name, greeting = gradio.Textbox(), gradio.Textbox()
    gradio.Button("Greet").click(greet, name, greeting, api_name="greet")
    last, number = gradio.Number(), gradio.Number()
    gradio.Button("Count").click(count, last, number, api_name="count")

app = gradio.mount_gradio_app(FastAPI(), page, path="")
