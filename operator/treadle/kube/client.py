"""A client of the API server: aiohttp and orjson, and nothing that retries.

One rule: whoever calls decides what a fault means; a write whose answer did not come is
`Unavailable`, for it may have happened.
"""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import quote

import aiohttp
import orjson

from treadle.asl.json import dumps, loads
from treadle.kube.api import Change, Listing, Obj
from treadle.kube.credentials import Endpoint
from treadle.kube.kinds import PODS, Kind
from treadle.runtime.meter import Meter, NoMeter
from treadle.runtime.ports import (
    AlreadyExists,
    Conflict,
    Expired,
    Fault,
    Missing,
    Refused,
    Unavailable,
)

REQUEST_SECONDS = 30.0
RENEW_SECONDS = 10.0  # between two readings of credentials that are not let in
CONNECTIONS_MAX = 100
CHUNK_ITEMS = 500
LARGE_BYTES = 2**20  # sent piece by piece, so that it does not hold the loop
WATCH_SECONDS = 290
SILENCE_SECONDS = 90.0
"""A watch that sends nothing for so long, no bookmark either, is dead."""

_JSON = {"Content-Type": "application/json"}
_PATCHES = {
    "merge": {"Content-Type": "application/merge-patch+json"},
    "json": {"Content-Type": "application/json-patch+json"},
}
# etcd's words, which come as a 500: above 1.5 MiB, and above 2 MiB.
_TOO_LARGE = ("request is too large", "trying to send message larger than max")


class Client:
    """See `kube.api.Api`. Use it as an async context manager."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        request_seconds: float = REQUEST_SECONDS,
        connections_max: int = CONNECTIONS_MAX,
        meter: Meter | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._request_seconds = request_seconds
        self._connections_max = connections_max
        self._meter = meter or NoMeter()
        self._session: aiohttp.ClientSession | None = None
        self._server_epoch: datetime | None = None
        self._renewing = asyncio.Lock()
        self._renewed_at = float("-inf")

    async def __aenter__(self) -> "Client":
        # Watches have connections of their own and must not use up those of requests.
        connector = aiohttp.TCPConnector(limit=0, ssl=self._endpoint.tls or True)
        self._slots = asyncio.Semaphore(self._connections_max)
        self._session = aiohttp.ClientSession(
            connector=connector, auto_decompress=True, trust_env=False, read_bufsize=2**18
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    # -------------------------------------------------------------------------------- reading

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Obj:
        """See Api."""
        return await self._request("get", kind, _path(kind, namespace, name))

    async def list(
        self,
        kind: Kind,
        namespace: str | None,
        *,
        labels: str | None = None,
        fields: str | None = None,
    ) -> Listing:
        """See Api. A list whose chunks expire is begun again."""
        query = _selectors(labels, fields) | {"limit": str(CHUNK_ITEMS)}
        path = _path(kind, namespace)
        items: list[Obj] = []
        token = ""
        while True:
            more = {"continue": token} if token else {}
            try:
                chunk = await self._request("list", kind, path, query | more)
            except Expired:
                if not token:
                    raise
                items, token = [], ""
                continue
            items += _complete(kind, chunk)
            token = chunk["metadata"].get("continue") or ""
            if not token:
                return Listing(items, chunk["metadata"]["resourceVersion"])

    async def watch(
        self,
        kind: Kind,
        namespace: str | None,
        version: str,
        *,
        labels: str | None = None,
        fields: str | None = None,
    ) -> AsyncIterator[Change]:
        """See Api."""
        query = _selectors(labels, fields) | {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENCE_SECONDS)
        loop = asyncio.get_running_loop()
        began_at, code = loop.time(), 0
        try:
            async with self._send("watch", _path(kind, namespace), query, timeout) as answer:
                code = answer.status
                self._meter.api_called("watch", kind.plural, code, loop.time() - began_at)
                if code != 200:
                    raise _fault(code, answer.headers, await answer.read(), {})
                async for line in _lines(answer.content):
                    yield _change(line)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            if not code:
                self._meter.api_called("watch", kind.plural, code, loop.time() - began_at)
            raise Unavailable(f"watch of {kind.plural}: {_said(error)}") from error

    async def log(
        self, namespace: str, pod: str, container: str, *, follow: bool = False
    ) -> AsyncIterator[bytes]:
        """What a container has printed, in parts of any size; to follow it, until it ends.

        Raises:
            Missing: there is no such Pod.
            Refused: it has no log: it has not started, for example.
            Unavailable: the API server or the node does not answer, or the stream broke off.
        """
        query = {"container": container, **({"follow": "true"} if follow else {})}
        path = _path(PODS, namespace, pod) + "/log"
        # A program may be silent for as long as it likes.
        silence = None if follow else self._request_seconds
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence)
        try:
            async with self._send("get", path, query, timeout) as answer:
                if answer.status != 200:
                    raise _fault(answer.status, answer.headers, await answer.read(), {})
                async for part in answer.content.iter_any():
                    yield part
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"log of {pod}: {_said(error)}") from error

    # -------------------------------------------------------------------------------- writing

    async def create(self, kind: Kind, namespace: str | None, obj: Obj) -> Obj:
        """See Api."""
        return await self._request("create", kind, _path(kind, namespace), body=obj)

    async def update(self, kind: Kind, namespace: str | None, obj: Obj) -> Obj:
        """See Api."""
        path = _path(kind, namespace, obj["metadata"]["name"])
        return await self._request("update", kind, path, body=obj)

    async def update_status(self, kind: Kind, namespace: str | None, obj: Obj) -> Obj:
        """See Api."""
        path = _path(kind, namespace, obj["metadata"]["name"]) + "/status"
        return await self._request("update", kind, path, body=obj, subresource="status")

    async def patch(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        patch: Any,
        *,
        form: Literal["merge", "json"] = "merge",
        subresource: str | None = None,
    ) -> Obj:
        """See Api."""
        path = _path(kind, namespace, name) + (f"/{subresource}" if subresource else "")
        return await self._request(
            "patch", kind, path, body=patch, headers=_PATCHES[form], subresource=subresource
        )

    async def delete(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        version: str | None = None,
    ) -> None:
        """See Api."""
        options: dict[str, Any] = {"propagationPolicy": "Background"}
        given = {"uid": uid, "resourceVersion": version}
        preconditions = {member: value for member, value in given.items() if value is not None}
        if preconditions:
            options["preconditions"] = preconditions
        await self._request("delete", kind, _path(kind, namespace, name), body=options)

    def now(self) -> datetime:
        """See Api."""
        if self._server_epoch is None:
            return datetime.now(UTC)
        # Not our wall clock, which may jump between two answers.
        return self._server_epoch + timedelta(seconds=time.monotonic())

    # ------------------------------------------------------------------------------- requests

    async def _request(
        self,
        verb: str,
        kind: Kind,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Any = None,
        headers: Mapping[str, str] = _JSON,
        subresource: str | None = None,
    ) -> Obj:
        loop = asyncio.get_running_loop()
        began_at, code = loop.time(), 0
        data = None if body is None else _encoded(body)
        try:
            async with self._slots, asyncio.timeout(self._request_seconds):
                code, got, raw = await self._exchange(verb, path, query, data, headers)
                # What was not let in did not happen: also a write may be sent again.
                if code == 401 and await self._renew_credentials():
                    code, got, raw = await self._exchange(verb, path, query, data, headers)
            self._note_time(got)
            if code >= 300:
                raise _fault(code, got, raw, body)
            obj: Obj = _read(raw)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unavailable(f"{verb} {path}: {_said(error)}") from error
        finally:
            resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
            self._meter.api_called(verb, resource, code, loop.time() - began_at)
        return obj

    async def _exchange(
        self,
        verb: str,
        path: str,
        query: Mapping[str, str] | None,
        data: bytes | None,
        headers: Mapping[str, str],
    ) -> tuple[int, Mapping[str, str], bytes]:
        timeout = aiohttp.ClientTimeout(total=self._request_seconds)
        async with self._send(verb, path, query, timeout, data, headers) as answer:
            return answer.status, answer.headers, await answer.read()

    def _send(
        self,
        verb: str,
        path: str,
        query: Mapping[str, str] | None,
        timeout: aiohttp.ClientTimeout,
        data: bytes | None = None,
        headers: Mapping[str, str] = _JSON,
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        assert self._session is not None
        sent = io.BytesIO(data) if data is not None and len(data) > LARGE_BYTES else data
        return self._session.request(
            _METHODS[verb],
            self._endpoint.server + path,
            params=query,
            data=sent,
            headers={**self._credentials(), **(headers if data is not None else {})},
            timeout=timeout,
            allow_redirects=False,
            proxy=self._endpoint.proxy,
            server_hostname=self._endpoint.server_name,
        )

    def _credentials(self) -> dict[str, str]:
        try:
            return self._endpoint.headers()
        except Exception as why:  # plugins, files and providers fail in their own ways
            raise Unavailable(f"no credentials for a cluster: {why!r}") from why

    async def _renew_credentials(self) -> bool:
        """Read the credentials again; gives whether they have changed."""
        before, loop = self._credentials(), asyncio.get_running_loop()
        async with self._renewing:
            # Many requests may be turned away at once, and a plugin may take seconds.
            if loop.time() - self._renewed_at >= RENEW_SECONDS:
                self._renewed_at = loop.time()
                try:
                    await asyncio.to_thread(self._endpoint.renew)
                except ValueError as why:
                    raise Unavailable(str(why)) from why
        return self._credentials() != before

    def _note_time(self, headers: Mapping[str, str]) -> None:
        date = headers.get("Date")
        if date is None:
            return
        # The header has whole seconds, cut off: half of one is the best guess.
        server = parsedate_to_datetime(date) + timedelta(seconds=0.5)
        epoch = server - timedelta(seconds=time.monotonic())
        known = self._server_epoch
        if known is None or abs(epoch - known) >= timedelta(seconds=1):
            self._server_epoch = epoch


_METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}


_NO_NAMES = ("", ".", "..")
"""In a path each of them means another one: of a list, perhaps of the whole cluster."""


def _path(kind: Kind, namespace: str | None, name: str | None = None) -> str:
    for what, called in ((kind.plural, name), ("namespaces", namespace or None)):
        if called in _NO_NAMES:
            raise Missing(f'{what} "{called}" not found')
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    place = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    tail = f"/{quote(name, safe='')}" if name is not None else ""
    return f"{root}{place}/{kind.plural}{tail}"


def _selectors(labels: str | None, fields: str | None) -> dict[str, str]:
    given = {"labelSelector": labels, "fieldSelector": fields}
    return {name: value for name, value in given.items() if value}


def _encoded(body: Any) -> bytes:
    try:
        # What a user's text may hold, such as half of a surrogate pair, orjson does not take.
        return dumps(body).encode()
    except ValueError as why:
        raise Refused(400, "BadRequest", str(why)) from why


def _complete(kind: Kind, chunk: Obj) -> list[Obj]:
    """The items of a list, which may leave out what they all have in common."""
    said = {"apiVersion": kind.api_version, "kind": kind.name}
    return [said | item for item in chunk["items"] or ()]


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length; the reader's own are bounded."""
    rest = b""
    async for part in content.iter_any():
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            if line:
                yield line


def _read(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return loads(raw)  # nested deeper than orjson reads, perhaps


def _change(line: bytes) -> Change:
    said = _read(line)
    if said["type"] == "ERROR":
        status = said["object"]
        raise _fault_of_status(status.get("code", 500), status, {}, {})
    return Change(said["type"], said["object"])


def _said(error: Exception) -> str:
    """What went wrong with a request, for people: some errors have a name and no words."""
    return str(error) or type(error).__name__


def _fault(code: int, headers: Mapping[str, str], raw: bytes, body: Any) -> Fault:
    try:
        status = orjson.loads(raw)
    except ValueError:
        status = {"message": raw[:500].decode(errors="replace")}
    if not isinstance(status, dict):
        status = {}
    return _fault_of_status(code, status, headers, body)


def _fault_of_status(
    code: int, status: Mapping[str, Any], headers: Mapping[str, str], body: Any
) -> Fault:
    reason, message = status.get("reason") or "", status.get("message") or f"HTTP {code}"
    if code == 404 and reason == "NotFound":
        return Missing(message)
    if code == 404:
        # Not about the object: a proxy, or a server that does not serve the kind (any more).
        return Unavailable(message)
    if code == 409:
        return AlreadyExists(message) if reason == "AlreadyExists" else Conflict(message)
    causes = (status.get("details") or {}).get("causes") or ()
    if code == 410:
        return Expired(message)
    if code == 422 and _tests(body) and not causes:
        # Causes are of an object that is invalid; a patch that cannot be applied has none. Which
        # operation failed is not said: a `test` is why one sends one.
        return Conflict(message)
    if code == 413 or any(words in message for words in _TOO_LARGE):
        return Refused(413, "RequestEntityTooLarge", message)
    if code == 429 or code >= 500:
        retry_after = headers.get("Retry-After", "")
        return Unavailable(message, float(retry_after) if retry_after.isdecimal() else None)
    return Refused(code, reason, message)


def _tests(body: Any) -> bool:
    return isinstance(body, list) and any(step.get("op") == "test" for step in body)
