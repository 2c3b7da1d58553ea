# BatchSpanProcessor runs a thread, which a fork does not copy: the provider is made in each worker.
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

workers = 2
preload_app = True


def post_fork(server, worker):
    resource = Resource.create({"service.name": "shop", "worker": worker.pid})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))
    trace.set_tracer_provider(provider)


def worker_exit(server, worker):
    trace.get_tracer_provider().shutdown()
