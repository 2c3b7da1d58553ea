import sentry_sdk
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware


def shop(environ, start_response):
    client = sentry_sdk.get_client()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(client.options["release"]).encode()]


application = SentryWsgiMiddleware(shop)
