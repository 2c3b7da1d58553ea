# Metrics by UDP, as Datadog's agent takes them.
import os

statsd_host = os.environ.get("STATSD", "localhost:8125")
statsd_prefix = "shop"
dogstatsd_tags = "env:example"
