"""A partner's API that is often busy: PUT /messages/ID delivers a message.

    python3 partner.py 8080

The first so many times as the message's `busy` says it answers 503; a message without `text` is
refused with 400. GET / lists every attempt.
"""

import http.server
import json
import sys
import threading
import time

ATTEMPTS: list[dict] = []
LOCK = threading.Lock()


class Partner(http.server.BaseHTTPRequestHandler):
    """See the module."""

    def do_PUT(self) -> None:
        """Take a message, or say why not."""
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = self.path.rpartition("/")[2]
        with LOCK:
            tried = sum(attempt["message"] == name for attempt in ATTEMPTS)
            ATTEMPTS.append({"message": name, "at": time.time()})
        if "text" not in message:
            self.answer(400, {"refused": "a message needs a text"})
        elif tried < message.get("busy", 0):
            self.answer(503, {"busy": f"try again; this was attempt {tried + 1}"})
        else:
            self.answer(200, {"delivered": name, "attempts": tried + 1})

    def do_GET(self) -> None:
        """List the attempts."""
        with LOCK:
            self.answer(200, list(ATTEMPTS))

    def answer(self, code: int, value: object) -> None:
        """Answer in JSON."""
        text = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Partner)
    print(f"partner http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
