# Metrics of all workers together. prometheus_client keeps them in files, one set for each process, in a directory that
# has to be empty at the start; and it must be told of workers that are gone, or their gauges live on.
import os
import shutil

from prometheus_client import multiprocess

workers = 2
METRICS = os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", "/tmp/shop-metrics")


def on_starting(server):
    shutil.rmtree(METRICS, ignore_errors=True)
    os.makedirs(METRICS)


def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)
