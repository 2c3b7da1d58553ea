import os
import threading

import newrelic.agent

watched = newrelic.agent.started_in == os.getpid()


def application(environ, start_response):
    threads = [thread.name for thread in threading.enumerate()]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{watched} {'NR-Harvest' in threads}".encode()]
