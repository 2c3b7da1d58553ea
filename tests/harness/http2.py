"""A client of HTTP/2 over a plain socket: the h2 package makes and reads frames, the test decides what is sent when."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType

import h2.config
import h2.connection
import h2.events
import h2.settings
from hyperframe.frame import GoAwayFrame

#: How long the client waits for anything from the server.
PATIENCE_S = 15.0

Fields = Iterable[tuple[str, str]]


@dataclass
class Response:
    """What has come on one stream."""

    status: int = 0
    fields: list[tuple[str, str]] = field(default_factory=list)
    interim: list[int] = field(default_factory=list)
    interim_fields: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    ended: bool = False
    reset: int | None = None

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def header(self, name: str) -> str | None:
        """The first field of that name."""
        return next((value for key, value in self.fields if key == name), None)


class _Connection(h2.connection.H2Connection):
    """The h2 package takes a GOAWAY for the end at once, also where it says that what has begun is finished."""

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[object], list[h2.events.Event]]:
        event = h2.events.ConnectionTerminated()
        event.error_code, event.last_stream_id = frame.error_code, frame.last_stream_id
        return [], [event]


class Http2:
    """One connection."""

    def __init__(
        self, sock: socket.socket | ssl.SSLSocket, *, reads: bool = True, begins: bool = True, **settings: int
    ) -> None:
        """With `reads` what comes is acknowledged, so that windows stay open; `settings` are the client's own."""
        sock.settimeout(PATIENCE_S)
        self.sock, self.reads = sock, reads
        config = h2.config.H2Configuration(
            client_side=True, header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.h2 = _Connection(config)
        if settings:
            codes = {h2.settings.SettingCodes[name.upper()]: value for name, value in settings.items()}
            self.h2.local_settings = h2.settings.Settings(client=True, initial_values=codes)
        self.streams: dict[int, Response] = {}
        self.went_away: int | None = None
        self.goaways: list[int] = []
        self.closed = False
        self.pongs = 0
        if begins:
            self.h2.initiate_connection()
            self.flush()

    def __enter__(self) -> Http2:
        """Closed with the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the socket."""
        self.sock.close()

    def flush(self) -> None:
        """Send what the h2 package has made."""
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)

    def begin(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        fields: Fields = (),
        ends: bool = True,
        pseudo: Fields | None = None,
    ) -> int:
        """Begin a request; the number of its stream."""
        scheme = "https" if isinstance(self.sock, ssl.SSLSocket) else "http"
        head = [(":method", method), (":scheme", scheme), (":authority", "test"), (":path", path)]
        number = self.h2.get_next_available_stream_id()
        self.h2.send_headers(number, [*(head if pseudo is None else pseudo), *fields], end_stream=ends)
        self.streams[number] = Response()
        self.flush()
        return number

    def data(self, number: int, body: bytes, *, ends: bool = True) -> None:
        """Send a body, as fast as the server's windows allow."""
        sent = 0
        while sent < len(body) or (ends and sent == len(body)):
            room = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
            if room <= 0 and sent < len(body):
                self.read()
                if self.streams[number].ended or self.streams[number].reset is not None:
                    return
                continue
            piece = body[sent : sent + room]
            last = sent + len(piece) == len(body)
            self.h2.send_data(number, piece, end_stream=ends and last)
            self.flush()
            sent += len(piece)
            if last:
                return

    def read(self) -> bool:
        """Take what comes next; False at the end of the connection."""
        try:
            data = self.sock.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            data = b""
        if not data:
            self.closed = True
            return False
        for event in self.h2.receive_data(data):
            self._note(event)
        self.flush()
        return True

    def _note(self, event: h2.events.Event) -> None:
        response = self.streams.get(getattr(event, "stream_id", 0) or 0)
        match event:
            case h2.events.ConnectionTerminated():
                self.went_away = int(event.error_code or 0)
                self.goaways.append(event.last_stream_id or 0)
            case h2.events.InformationalResponseReceived() if response:
                pairs = [(str(name), str(value)) for name, value in event.headers or []]
                response.interim.append(int(dict(pairs)[":status"]))
                response.interim_fields += pairs
            case h2.events.ResponseReceived() if response:
                pairs = [(str(name), str(value)) for name, value in event.headers or []]
                response.status = int(dict(pairs)[":status"])
                response.fields = pairs
            case h2.events.DataReceived() if response:
                response.body += event.data or b""
                if self.reads and event.flow_controlled_length and event.stream_id:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.TrailersReceived() if response:
                response.trailers = [(str(name), str(value)) for name, value in event.headers or []]
            case h2.events.StreamEnded() if response:
                response.ended = True
            case h2.events.PingAckReceived():
                self.pongs += 1
            case h2.events.StreamReset() if response:
                response.reset = int(event.error_code or 0)
            case _:
                pass

    def wait(self, number: int) -> Response:
        """The whole response, or as much as came before the stream was broken off."""
        response = self.streams[number]
        while not response.ended and response.reset is None:
            assert self.read(), f"the connection ended within stream {number}: {response}"
        return response

    def get(self, path: str = "/", *, fields: Fields = ()) -> Response:
        """Ask, and wait for the answer."""
        return self.wait(self.begin(path, fields=fields))

    def post(self, path: str, body: bytes, *, fields: Fields = ()) -> Response:
        """Send a body, and wait for the answer."""
        number = self.begin(path, method="POST", fields=fields, ends=False)
        self.data(number, body)
        return self.wait(number)

    def read_to_end(self) -> Http2:
        """Take all that comes until the server ends the connection."""
        while self.read():
            pass
        return self


def connect(host: str, port: int, *, reads: bool = True, receive_buffer: int | None = None, **settings: int) -> Http2:
    """A connection by prior knowledge."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(PATIENCE_S)
    sock.connect((host, port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Http2(sock, reads=reads, **settings)
