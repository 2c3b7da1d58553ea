# Sentry's transport has a thread, so each worker makes its own client.
import os

import sentry_sdk

workers = 1


def post_fork(server, worker):
    sentry_sdk.init(
        dsn=os.environ.get("SENTRY_DSN"),
        release=os.environ.get("RELEASE", "shop@1.0"),
        traces_sample_rate=0.0,
        auto_enabling_integrations=False,
    )
    sentry_sdk.set_tag("worker_pid", worker.pid)


def worker_exit(server, worker):
    sentry_sdk.flush(timeout=2)
