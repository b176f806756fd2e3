"""Three small services of a shop: each does one thing for an order, and can undo it.

    python3 services.py reserve=8081 charge=8082 ship=8083

PUT /orders/ID does it, DELETE /orders/ID undoes it, GET / lists what was done and undone. An order
has its id from whoever calls, so that doing or undoing it twice changes nothing more: calls may be
repeated without harm. Everything is in memory, which is all that an example needs.
"""

import http.server
import json
import sys
import threading
import time
from collections.abc import Callable


def refusal_of(service: str, order: dict) -> str:
    """Why a service does not do it; empty where it does."""
    if service == "reserve" and order["item"] not in ("loom", "shuttle"):
        return f"there is no {order['item']} in stock"
    if service == "charge" and order["amount"] > 1000:
        return f"the card is good for 1000, not for {order['amount']}"
    if service == "ship" and order["to"] == "Atlantis":
        return "no carrier serves Atlantis"
    return ""


def handler_of(service: str) -> type[http.server.BaseHTTPRequestHandler]:
    """What answers the calls of one service."""
    done: dict[str, dict] = {}
    journal: list[dict] = []
    lock = threading.Lock()

    def note(did: str, order: str) -> None:
        journal.append({"did": did, "order": order, "at": time.time()})

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                if refusal := refusal_of(service, order):
                    note("refused", order["id"])
                    return self.answer(422, {"refused": refusal})
                if order["id"] not in done:
                    note(service, order["id"])
                    done[order["id"]] = {"number": f"{service}-{len(journal)}"}
                return self.answer(200, done[order["id"]])

        def do_DELETE(self) -> None:
            order = self.path.rpartition("/")[2]
            with lock:
                was_done = done.pop(order, None) is not None
                if was_done:
                    note(f"undo {service}", order)
            self.answer(200, {"undone": was_done})

        def do_GET(self) -> None:
            with lock:
                self.answer(200, list(journal))

        def answer(self, code: int, value: object) -> None:
            text = json.dumps(value).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    return Handler


def begin(service: str, port: int) -> Callable[[], None]:
    """Listen, and say where; gives what serves for ever."""
    server = http.server.ThreadingHTTPServer(("", port), handler_of(service))
    print(f"{service} http://127.0.0.1:{server.server_port}", flush=True)
    return server.serve_forever


def main() -> None:
    """Serve everything that was named, each on its port."""
    asked = [word.split("=") for word in sys.argv[1:]]
    for serve in [begin(service, int(port)) for service, port in asked]:
        threading.Thread(target=serve).start()


if __name__ == "__main__":
    main()
