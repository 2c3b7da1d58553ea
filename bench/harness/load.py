"""The client: first one exact look at the answer, then wrk, then what wrk counted."""

from __future__ import annotations

import dataclasses
import http
import http.client
import json
import subprocess
import tempfile

from harness.cases import Case
from harness.process import MeasurementError

ANSWER_TIMEOUT_S = 15.0
# wrk stops by itself; this is how much later than that it is given up.
WRK_GRACE_S = 30.0


@dataclasses.dataclass(frozen=True)
class Load:
    """How wrk is run, on the core of the harness. wrk takes whole seconds only."""

    connections: int
    seconds: int

    def for_case(self, case: Case) -> Load:
        """With the connections that a case insists on."""
        return dataclasses.replace(self, connections=case.connections or self.connections)


@dataclasses.dataclass(frozen=True)
class Counted:
    """What wrk saw in its window."""

    requests: int
    duration_us: int
    bytes: int
    connect: int
    read: int
    write: int
    timeout: int
    status: int
    p50_us: int
    p99_us: int

    def socket_errors(self) -> int:
        """Connections that were refused, cut, or silent for wrk's two seconds."""
        return self.connect + self.read + self.write + self.timeout


def _ask(connection: http.client.HTTPConnection, case: Case) -> bool:
    """Send the request and refuse every answer but the right one. True = the connection stays."""
    connection.request(case.method, "/", body=case.request_body)
    response = connection.getresponse()
    stays = not response.will_close
    body = response.read()
    length = response.getheader("Content-Length")
    if response.status != http.HTTPStatus.OK:
        raise MeasurementError(f"answers {response.status} instead of 200")
    if length != (None if case.is_streamed else str(len(case.answer))):
        wanted = "absent" if case.is_streamed else len(case.answer)
        raise MeasurementError(f"Content-Length is {length} instead of {wanted}")
    if body != case.answer:
        raise MeasurementError(f"the body is wrong: {len(body)} bytes, starting with {body[:40]!r}")
    return stays


def check_answer(port: int, case: Case) -> bool:
    """Refuse a server that answers wrongly. True = it takes a second request on the same connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT_S)
    try:
        if not _ask(connection, case):
            return False
        try:
            return _ask(connection, case)
        except (http.client.RemoteDisconnected, ConnectionError):
            return False
    except (OSError, http.client.HTTPException) as error:
        raise MeasurementError(f"does not answer: {error!r}") from error
    finally:
        connection.close()


def wrk_command(load: Load, port: int, script: str) -> list[str]:
    """The command line of wrk: one thread, because it has one core."""
    size = ["-t1", f"-c{load.connections}", f"-d{load.seconds}s"]
    return ["wrk", *size, "-s", script, f"http://127.0.0.1:{port}/"]


def parse_report(output: str) -> Counted:
    """Read the line of JSON which lua/report.lua prints."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise MeasurementError(f"wrk reported nothing:\n{output.strip()}")
    return Counted(**json.loads(lines[-1]))


def run_wrk(load: Load, port: int, case: Case) -> Counted:
    """Run wrk for its whole seconds. It inherits the core that the harness is pinned to."""
    # wrk takes one script and reads it once a thread, so the scripts are joined in a file: a pipe
    # would be empty at the second reading.
    with tempfile.NamedTemporaryFile("w", prefix="bench-", suffix=".lua") as script:
        script.write("".join(path.read_text() for path in case.scripts()))
        script.flush()
        try:
            done = subprocess.run(
                wrk_command(load, port, script.name),
                capture_output=True,
                text=True,
                timeout=load.seconds + WRK_GRACE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise MeasurementError("wrk did not end: the server keeps it waiting") from error
    if done.returncode != 0:
        raise MeasurementError(f"wrk failed: {done.stderr.strip() or done.stdout.strip()}")
    return parse_report(done.stdout)
