import os
import sqlite3


class Pool:
    """As SQLAlchemy's engine and psycopg's pool have it, for a database that needs no server."""

    def __init__(self):
        self.connection = self.owner = None

    def connect(self):
        if self.connection is None:
            self.connection = sqlite3.connect(":memory:", check_same_thread=False)
            self.owner = os.getpid()
        return self.connection

    def dispose(self):
        self.connection = None


pool = Pool()
pool.connect()


def application(environ, start_response):
    (answer,) = pool.connect().execute("SELECT 6 * 7").fetchone()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{answer} {pool.owner == os.getpid()}".encode()]
