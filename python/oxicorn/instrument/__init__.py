"""Metrics, under the name that Gunicorn has for them."""
