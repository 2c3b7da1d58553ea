# An agent starts threads, so each worker starts its own: after the fork, before the application is imported.
import os

workers = 2


def post_fork(server, worker):
    import newrelic.agent

    newrelic.agent.initialize(os.environ.get("NEW_RELIC_CONFIG_FILE", "newrelic.ini"))
    newrelic.agent.register_application(timeout=10)
    server.log.info("New Relic watches worker %s", worker.pid)
