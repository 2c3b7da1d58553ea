# A program that is its own server, as Gunicorn's manual has it.
import multiprocessing
import os

import gunicorn.app.base


def number_of_workers():
    return (multiprocessing.cpu_count() * 2) + 1


def handler_app(environ, start_response):
    response_body = b"Works fine"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [response_body]


class StandaloneApplication(gunicorn.app.base.BaseApplication):
    def __init__(self, app, options=None):
        self.options = options or {}
        self.application = app
        super().__init__()

    def load_config(self):
        config = {key: value for key, value in self.options.items() if key in self.cfg.settings and value is not None}
        for key, value in config.items():
            self.cfg.set(key.lower(), value)

    def load(self):
        return self.application


if __name__ == "__main__":
    options = {
        "bind": "127.0.0.1:" + os.environ.get("SHOP_PORT", "8080"),
        "workers": number_of_workers(),
    }
    StandaloneApplication(handler_app, options).run()
