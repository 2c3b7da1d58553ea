# Access lines as JSON, for log collectors.
import datetime
import json

from gunicorn.glogging import Logger


class JsonLogger(Logger):
    def access(self, resp, req, environ, request_time):
        status = resp.status.split(None, 1)[0] if isinstance(resp.status, str) else resp.status
        self.access_log.info(
            json.dumps(
                {
                    "time": datetime.datetime.now(datetime.timezone.utc).isoformat(),
                    "client": environ.get("REMOTE_ADDR"),
                    "method": environ["REQUEST_METHOD"],
                    "path": environ["RAW_URI"],
                    "status": int(status),
                    "bytes": getattr(resp, "sent", None),
                    "seconds": request_time.total_seconds(),
                    "agent": environ.get("HTTP_USER_AGENT"),
                }
            )
        )


logger_class = JsonLogger
accesslog = "-"
