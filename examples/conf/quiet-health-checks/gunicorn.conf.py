# A load balancer asks every few seconds; nobody wants to read that.
from gunicorn import glogging


class QuietLogger(glogging.Logger):
    def access(self, resp, req, environ, request_time):
        if req.path == "/health":
            return
        super().access(resp, req, environ, request_time)


logger_class = QuietLogger
accesslog = "-"
access_log_format = '%(h)s "%(r)s" %(s)s %(b)s'
