"""An HTTP server with good and bad manners, for `treadle:http` Tasks.

The one rule: what it does is in the path of the request, and what it was asked is remembered.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import urllib.request
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.cluster.lab import places

_PIECE = b"x" * (1 << 20)
METADATA = "http://169.254.169.254/latest/meta-data/"


@dataclass(frozen=True)
class Asked:
    """One request that came."""

    method: str
    path: str
    key: str
    body: Any


@dataclass
class Manners:
    """What handlers share."""

    asked: list[Asked] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    sent_bytes: int = 0


class Server:
    """Serves in threads until its end.

    Paths: `/echo` answers with the body, `/status?code=503&times=2` so often with that status and
    then like `/echo`, `/hold` when `release` was called, `/hang` never, `/huge` one gigabyte,
    `/huge?told` the same with its length said first, `/redirect` to a metadata address, `/garbage`
    no HTTP, `/drip` one byte in two seconds, `/sent` with the bytes of `/huge` that were taken.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._manners = Manners()
        manners = self._manners

        class Handler(_Handler):
            shared = manners

        self._host = host
        self._http = _Http((host, 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._manners.released.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._http.server_address[1])

    def url(self, path: str, host: str | None = None) -> str:
        """The URL of a path, by the address that it listens on or by another name."""
        return f"http://{host or self._host}:{self.port}{path}"

    def asked(self, path: str) -> list[Asked]:
        """What came for a path so far."""
        return [each for each in list(self._manners.asked) if each.path == path]

    def release(self) -> None:
        """Let `/hold` answer."""
        self._manners.released.set()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128  # with 5, some of many calls at once wait for seconds to be taken


class ServerProcess:
    """A Server in a process of its own: its gigabytes take nothing from the test's."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._port = 0
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> ServerProcess:
        command = [sys.executable, "-m", "tests.cluster.support.servers", self._host]
        self._process = subprocess.Popen(
            command, cwd=places.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.communicate("")  # the end of its input is its end
        assert self._process.returncode == 0

    def url(self, path: str, host: str | None = None) -> str:
        """The URL of a path, by the address that it listens on or by another name."""
        return f"http://{host or self._host}:{self._port}{path}"

    @property
    def sent_bytes(self) -> int:
        """How much of `/huge` was taken so far."""
        with urllib.request.urlopen(self.url("/sent"), timeout=10) as answer:
            return int(json.load(answer))


class _Handler(BaseHTTPRequestHandler):
    shared: Manners
    body: Any
    query: dict[str, list[str]]
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True  # the other side has heard enough

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Be quiet."""

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.body = json.loads(text) if text else None
        key = self.headers.get("Idempotency-Key", "")
        self.shared.asked.append(Asked(self.command, parts.path, key, self.body))
        self.query = parse_qs(parts.query, keep_blank_values=True)
        behaviour = getattr(self, f"_{parts.path.strip('/')}", self._echo)
        behaviour()

    def _echo(self) -> None:
        self._answer(200, self.body)

    def _status(self) -> None:
        times = int(self.query.get("times", ["1000000"])[0])
        alike = [each.body for each in self.shared.asked if each.path == "/status"]
        code = int(self.query["code"][0]) if alike.count(self.body) <= times else 200
        self._answer(code, self.body)

    def _hold(self) -> None:
        self.shared.released.wait(60)
        self._answer(200, {"held": True})

    def _hang(self) -> None:
        self.shared.released.wait(600)
        self.close_connection = True

    def _drip(self) -> None:
        self._head(200, length=1_000_000)
        while not self.shared.released.wait(2):
            self.wfile.write(b"x")

    def _huge(self) -> None:
        size = 1 << 30
        self._head(200, length=size if "told" in self.query else None)
        for _ in range(size // len(_PIECE)):
            self.wfile.write(_PIECE)
            self.shared.sent_bytes += len(_PIECE)
        self.close_connection = True

    def _sent(self) -> None:
        self._answer(200, self.shared.sent_bytes)

    def _redirect(self) -> None:
        self.send_response(302)
        self.send_header("Location", METADATA)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _garbage(self) -> None:
        self.wfile.write(b"\x00\x01\x02 this is not HTTP\r\n\r\n")
        self.close_connection = True

    def _head(self, code: int, *, length: int | None) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        if length is None:
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _answer(self, code: int, value: Any) -> None:
        text = json.dumps(value).encode()
        self._head(code, length=len(text))
        self.wfile.write(text)


def own_address() -> str:
    """An address of this machine that is not loopback, as a server elsewhere would have."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def main() -> None:
    """Serve on a port that is printed, until the end of the input."""
    with Server(sys.argv[1]) as server:
        print(server.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
