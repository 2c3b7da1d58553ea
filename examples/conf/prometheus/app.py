from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest, multiprocess

REQUESTS = Counter("shop_requests", "Requests")
WORKERS = Gauge("shop_workers", "Workers that have served", multiprocess_mode="livesum")


def application(environ, start_response):
    if environ["PATH_INFO"] == "/metrics":
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
        start_response("200 OK", [("Content-Type", CONTENT_TYPE_LATEST)])
        return [generate_latest(registry)]
    REQUESTS.inc()
    WORKERS.set(1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
