# The application is loaded once and opens connections; two processes must not speak over one of them.
workers = 2
preload_app = True


def post_fork(server, worker):
    from app import pool

    pool.dispose()
    worker.log.info("worker %s opens connections of its own", worker.pid)


def worker_exit(server, worker):
    from app import pool

    pool.dispose()
