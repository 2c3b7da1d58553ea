"""Embedding: programs that configure and run the server themselves."""

from oxicorn import imports

imports.prepare()
