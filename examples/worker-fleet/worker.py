"""A worker of the activity `render`: asks for a frame, renders it, says how that went; for ever.

Where TREADLE_INPUT_FILE names the input there is one frame to render: `treadle run --worker` and
`treadle activity worker` start it so.
"""

import hashlib
import json
import os
import pathlib
import socket
import threading
import time
import urllib.error
import urllib.request

API = os.environ.get("TREADLE_API_URL", "")
NAMESPACE = os.environ.get("NAMESPACE", "default")
TOKEN = pathlib.Path(os.environ.get("TOKEN_FILE", "/var/run/secrets/treadle.dev/token"))


def render(task: dict) -> dict:
    """A picture of a frame."""
    said = f"{task['scene']}/{task['frame']}"
    return {"frame": task["frame"], "picture": hashlib.sha256(said.encode()).hexdigest()[:6]}


def post(path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    """Ask the operator; 0 where it does not answer."""
    request = urllib.request.Request(API + path, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=90) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()
    except OSError as why:
        return 0, str(why).encode()


def say(token: str, what: str, value: object = None) -> None:
    """Say it until it is saved, or nobody waits for it any more."""
    body = b"" if value is None else json.dumps(value).encode()
    while post(f"/v1/tasks/{token}/{what}", body)[0] not in (200, 400):
        time.sleep(1)


def work(token: str, task: dict) -> None:
    """Do a task, and say meanwhile that it is alive."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(10):
            say(token, "heartbeat")

    threading.Thread(target=beat, daemon=True).start()
    try:
        say(token, "success", render(task))
    except Exception as why:
        say(token, "failure", {"error": type(why).__name__, "cause": str(why)})
    finally:
        done.set()


def main() -> None:
    """See the module."""
    if "TREADLE_INPUT_FILE" in os.environ:
        task = json.loads(pathlib.Path(os.environ["TREADLE_INPUT_FILE"]).read_text())
        pathlib.Path(os.environ["TREADLE_RESULT_FILE"]).write_text(json.dumps(render(task)))
        return
    path = f"/v1/namespaces/{NAMESPACE}/activities/render/poll?worker={socket.gethostname()}"
    while True:
        # It is held for up to a minute; 204 says that there was nothing to do.
        status, answer = post(path, Authorization=f"Bearer {TOKEN.read_text().strip()}")
        if status == 200:
            given = json.loads(answer)
            work(given["taskToken"], given["input"])
        elif status != 204:
            print(f"no work: {status} {answer.decode()}", flush=True)
            time.sleep(5)


if __name__ == "__main__":
    main()
