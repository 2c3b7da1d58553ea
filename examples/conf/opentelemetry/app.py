from opentelemetry import trace

tracer = trace.get_tracer("shop")


def application(environ, start_response):
    with tracer.start_as_current_span("answer") as span:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(span.is_recording()).encode()]
