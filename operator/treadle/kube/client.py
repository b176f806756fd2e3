"""A client of the API server: aiohttp and orjson, and nothing that retries.

One rule: whoever calls decides what a fault means; a write whose answer did not come is
`Unavailable`, for it may have happened.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import quote

import aiohttp
import orjson

from treadle.kube.api import Change, Listing, Obj
from treadle.kube.credentials import Endpoint
from treadle.kube.kinds import Kind
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
CONNECTIONS_MAX = 100
CHUNK_ITEMS = 500
WATCH_SECONDS = 290
SILENCE_SECONDS = 90.0
"""A watch that sends nothing for so long, no bookmark either, is dead."""

_JSON = {"Content-Type": "application/json"}
_PATCHES = {
    "merge": {"Content-Type": "application/merge-patch+json"},
    "json": {"Content-Type": "application/json-patch+json"},
}
_TOO_LARGE = "request is too large"


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
        self._offset: timedelta | None = None

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
            items += _complete(chunk)
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
        assert self._session is not None
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENCE_SECONDS)
        url = self._endpoint.server + _path(kind, namespace)
        try:
            async with self._session.get(
                url, params=query, headers=self._endpoint.headers(), timeout=timeout
            ) as answer:
                if answer.status != 200:
                    raise _fault(answer.status, answer.headers, await answer.read(), {})
                async for line in _lines(answer.content):
                    yield _change(line)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"watch of {kind.plural}: {error!r}") from error

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
        here = datetime.now(UTC)
        return here + self._offset if self._offset is not None else here

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
        try:
            async with self._slots, asyncio.timeout(self._request_seconds):
                code, got, raw = await self._exchange(verb, path, query, body, headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"{verb} {path}: {error!r}") from error
        finally:
            resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
            self._meter.api_called(verb, resource, code, loop.time() - began_at)
        self._note_time(got)
        if code >= 300:
            raise _fault(code, got, raw, body)
        obj: Obj = orjson.loads(raw)
        return obj

    async def _exchange(
        self,
        verb: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Any,
        headers: Mapping[str, str],
    ) -> tuple[int, Mapping[str, str], bytes]:
        assert self._session is not None
        data = None if body is None else orjson.dumps(body)
        async with self._session.request(
            _METHODS[verb],
            self._endpoint.server + path,
            params=query,
            data=data,
            headers={**self._endpoint.headers(), **(headers if data is not None else {})},
        ) as answer:
            return answer.status, answer.headers, await answer.read()

    def _note_time(self, headers: Mapping[str, str]) -> None:
        date = headers.get("Date")
        if date is not None:
            # The header has whole seconds, cut off: half of one is the best guess.
            server = parsedate_to_datetime(date) + timedelta(seconds=0.5)
            offset = server - datetime.now(UTC)
            close = self._offset is not None and abs(offset - self._offset) < timedelta(seconds=1)
            if not close:
                self._offset = offset


_METHODS = {
    "get": "GET",
    "list": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}


def _path(kind: Kind, namespace: str | None, name: str | None = None) -> str:
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    place = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    tail = f"/{quote(name, safe='')}" if name is not None else ""
    return f"{root}{place}/{kind.plural}{tail}"


def _selectors(labels: str | None, fields: str | None) -> dict[str, str]:
    given = {"labelSelector": labels, "fieldSelector": fields}
    return {name: value for name, value in given.items() if value}


def _complete(chunk: Obj) -> list[Obj]:
    """The items of a list, which leave out what the list says once."""
    said = {"apiVersion": chunk["apiVersion"], "kind": chunk["kind"].removesuffix("List")}
    return [said | item for item in chunk["items"]]


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length; the reader's own are bounded."""
    rest = b""
    async for part in content.iter_any():
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            if line:
                yield line


def _change(line: bytes) -> Change:
    said = orjson.loads(line)
    if said["type"] == "ERROR":
        status = said["object"]
        raise _fault_of_status(status.get("code", 500), status, {}, {})
    return Change(said["type"], said["object"])


def _fault(code: int, headers: Mapping[str, str], raw: bytes, body: Any) -> Fault:
    try:
        status = orjson.loads(raw)
    except orjson.JSONDecodeError:
        status = {"message": raw[:500].decode(errors="replace")}
    if not isinstance(status, dict):
        status = {}
    return _fault_of_status(code, status, headers, body)


def _fault_of_status(
    code: int, status: Mapping[str, Any], headers: Mapping[str, str], body: Any
) -> Fault:
    reason, message = status.get("reason") or "", status.get("message") or f"HTTP {code}"
    if code == 404:
        return Missing(message)
    if code == 409:
        return AlreadyExists(message) if reason == "AlreadyExists" else Conflict(message)
    if code == 410:
        return Expired(message)
    if code == 422 and _tests(body):
        # The API server does not say which operation failed: a `test` is why one sends one.
        return Conflict(message)
    if code == 413 or _TOO_LARGE in message:
        return Refused(413, "RequestEntityTooLarge", message)
    if code == 429 or code >= 500:
        retry_after = headers.get("Retry-After", "")
        return Unavailable(message, float(retry_after) if retry_after.isdecimal() else None)
    return Refused(code, reason, message)


def _tests(body: Any) -> bool:
    return isinstance(body, list) and any(step.get("op") == "test" for step in body)
