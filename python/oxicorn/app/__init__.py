"""Embedding: programs that configure and run the server themselves."""
