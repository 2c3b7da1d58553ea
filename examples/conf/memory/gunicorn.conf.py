# A worker that has grown too much leaves after the request that it has; another takes its place.
import os
import resource

workers = 1
max_requests = 500
max_requests_jitter = 50
LIMIT_MIB = int(os.environ.get("WORKER_MEMORY_MIB", "512"))


def post_request(worker, req, environ, resp):
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    if used > LIMIT_MIB and worker.alive:
        worker.log.warning("worker %s has used %s MiB after %s requests and leaves", worker.pid, used, worker.nr)
        worker.alive = False
