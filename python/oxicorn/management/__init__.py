"""Commands of `manage.py`, for projects that have `oxicorn` in INSTALLED_APPS."""
