"""A relay before the API server, which can be away for a while.

The one rule: it passes bytes on and knows nothing of them; when it is away, every connection
through it is cut, as if the API server had been restarted.
"""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit


class Relay:
    """See the module. `with` serves it; `kubeconfig` then points to it.

    Args:
        kubeconfig: of the cluster.
        file: where the relay's own kubeconfig is written.
    """

    def __init__(self, kubeconfig: Path, file: Path) -> None:
        made = json.loads(kubeconfig.read_bytes())
        cluster = made["clusters"][0]["cluster"]
        upstream = urlsplit(cluster["server"])
        self._upstream = (upstream.hostname or "", upstream.port or 443)
        self._listener = self._listening(0)
        self._port = int(self._listener.getsockname()[1])
        cluster["server"] = f"{upstream.scheme}://127.0.0.1:{self._port}"
        cluster["tls-server-name"] = upstream.hostname
        file.write_text(json.dumps(made), encoding="utf-8")
        self.kubeconfig = file
        self.connections = 0
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Relay:
        self._serve(self._listener)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.go_away()

    def go_away(self) -> None:
        """Cut every connection, and take no new one."""
        _shut(self._listener)
        with self._lock:
            for each in self._open:
                _shut(each)
            self._open.clear()

    def come_back(self) -> None:
        """Serve again, where it was."""
        self._listener = self._listening(self._port)
        self._serve(self._listener)

    @staticmethod
    def _listening(port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(64)
        return listener

    def _serve(self, listener: socket.socket) -> None:
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # it was closed
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(self._upstream)
                with self._lock:
                    self.connections += 1
                    self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    _shut(one)
    _shut(other)


def _shut(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
