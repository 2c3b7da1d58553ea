# Memory that workers share: what was loaded before the fork, and is never looked at by the garbage collector again.
import gc

workers = 2
preload_app = True


def when_ready(server):
    gc.collect()
    gc.freeze()
    server.log.info("%d objects are shared", gc.get_freeze_count())


def post_fork(server, worker):
    gc.enable()
