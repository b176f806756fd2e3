"""An inbox of readings: they come in one by one, and wait until somebody takes care of them.

    python3 inbox.py 8080 --every 1

POST /readings adds one; GET /count says how many wait; GET /readings?limit=N gives the oldest, and
DELETE /readings?through=ID removes those up to ID. With --every it measures something itself, so
that there is something to see. Everything is in memory, which is all that an example needs.
"""

import argparse
import http.server
import json
import math
import threading
import time
from urllib.parse import parse_qs, urlsplit

READINGS: dict[int, dict] = {}
LOCK = threading.Lock()
COUNTED = 0


def add(value: float) -> dict:
    """Put a reading into the inbox."""
    global COUNTED  # noqa: PLW0603 - the ids go on when readings are removed
    with LOCK:
        COUNTED += 1
        READINGS[COUNTED] = {"id": COUNTED, "value": value}
        return READINGS[COUNTED]


class Inbox(http.server.BaseHTTPRequestHandler):
    """See the module."""

    def do_POST(self) -> None:
        """Add a reading."""
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(201, add(given["value"]))

    def do_GET(self) -> None:
        """Count, or give the oldest."""
        parts = urlsplit(self.path)
        with LOCK:
            waiting = list(READINGS.values())
        if parts.path == "/count":
            self.answer(200, {"waiting": len(waiting)})
        else:
            self.answer(200, waiting[: int(parse_qs(parts.query)["limit"][0])])

    def do_DELETE(self) -> None:
        """Remove what somebody took care of."""
        through = int(parse_qs(urlsplit(self.path).query)["through"][0])
        with LOCK:
            removed = [number for number in READINGS if number <= through]
            for number in removed:
                del READINGS[number]
        self.answer(200, {"removed": len(removed)})

    def answer(self, code: int, value: object) -> None:
        """Answer in JSON."""
        text = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def measure(seconds: float) -> None:
    """Add a reading again and again."""
    while True:
        time.sleep(seconds)
        add(round(20 + 5 * math.sin(time.time() / 60), 2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--every", type=float, metavar="SECONDS")
    asked = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("", asked.port), Inbox)
    print(f"inbox http://127.0.0.1:{server.server_port}", flush=True)
    if asked.every:
        threading.Thread(target=measure, args=(asked.every,), daemon=True).start()
    server.serve_forever()
