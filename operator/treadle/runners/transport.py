"""One HTTP call to an address that the installation allows.

One rule: whatever the other side does, a call ends in time and takes a bounded amount of memory.
"""

import asyncio
import io
import socket
import ssl
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeAlias

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from treadle.runners.addresses import AddressPolicy

CONNECTIONS_MAX = 200
HEADER_BYTES_MAX = 8_190
HEADERS_MAX = 128
LOOKUPS_MAX = 16
# Of an answer that inflates to nothing, such as a gzip header without end.
_RAW_SLACK_BYTES = 65_536
_PIECE_BYTES = 1_048_576

# Everything that aiohttp would add by itself; what is sent is what the request says.
_NOT_ADDED = ("User-Agent", "Content-Type", "Accept", "Accept-Encoding")


class AddressDenied(Exception):  # noqa: N818 - style.md's way of naming
    """The address policy refuses the address; the message names the address and the rule."""


class AnswerTooLarge(Exception):  # noqa: N818 - style.md's way of naming
    """The answer is larger than it may be; reading stopped there."""


class SocketFailed(Exception):  # noqa: N818 - style.md's way of naming
    """No whole answer came: no connection, TLS refused, connection lost, timeout, not HTTP."""


class NotARequest(Exception):  # noqa: N818 - style.md's way of naming
    """What was asked for cannot be sent; nothing was."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it is sent.

    Attributes:
        method: in upper case.
        url: absolute, `http` or `https`.
        headers: name and value, in order; a name may come more than once.
        query: name and value, in order; added to the query that the url has.
        body: the bytes to send; None where there are none.
        timeout_seconds: for everything, from resolving the name to the last byte.
        answer_bytes_max: of the answer's body after decompression.
        namespace: whose address lists apply beside the installation's.
    """

    method: str
    url: str
    headers: Sequence[tuple[str, str]] = ()
    query: Sequence[tuple[str, str]] = ()
    body: bytes | None = None
    timeout_seconds: float = 60.0
    answer_bytes_max: int = 1_048_576
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer, whatever its status.

    Attributes:
        headers: every value of a name, by the name in lower case.
        body: after decompression.
    """

    status: int
    reason: str
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    body: bytes = b""


class Transport(Protocol):
    """Makes HTTP calls."""

    async def call(self, request: HttpRequest) -> HttpAnswer:
        """Send one request once and read its whole answer; redirects are answers.

        Raises:
            NotARequest: it cannot be sent.
            AddressDenied: the policy refuses where it would go; nothing was sent.
            AnswerTooLarge: the answer has more than `answer_bytes_max` bytes.
            SocketFailed: no whole answer came in time. The other side may have done its work.
        """


Policies: TypeAlias = Callable[[str], AddressPolicy]
"""The policy of a namespace as it is now: nodes come and go."""


class AiohttpTransport:
    """Calls over aiohttp. Close it at the end.

    A call has a connection of its own: a kept one would have been judged by an older policy or for
    another namespace, and may be closed by the server just when the next request is sent.
    """

    def __init__(
        self,
        policies: Policies,
        *,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        self._policies = policies
        self._tls = tls or ssl.create_default_context()
        self._resolver = resolver or _Resolver()
        self._slots = asyncio.Semaphore(connections_max)

    async def call(self, request: HttpRequest) -> HttpAnswer:
        """See Transport. Waiting for one of `connections_max` does not count as the call's time."""
        async with self._slots:
            guard = _Guard(self._policies(request.namespace))
            try:
                async with asyncio.timeout(request.timeout_seconds):
                    return await self._exchange(request, guard)
            except TimeoutError:
                seconds = request.timeout_seconds
                raise SocketFailed(f"no whole answer came within {seconds:g} s") from None
            except aiohttp.InvalidURL as error:
                raise NotARequest(f"{error.url} is no URL that can be called") from error
            except (aiohttp.ClientError, OSError) as error:
                if guard.denied:
                    raise AddressDenied("; ".join(guard.denied)) from None
                raise SocketFailed(_sentence(error)) from error
            except ValueError as error:
                raise NotARequest(str(error)) from error

    async def close(self) -> None:
        """Let the threads go that resolve names."""
        await self._resolver.close()

    async def _exchange(self, request: HttpRequest, guard: "_Guard") -> HttpAnswer:
        connector = aiohttp.TCPConnector(
            limit=1,
            force_close=True,
            ssl=self._tls,
            resolver=self._resolver,
            use_dns_cache=False,
            socket_factory=guard.socket,
        )
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=_NOT_ADDED,
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None),
            middlewares=(_send_once,),
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            max_headers=HEADERS_MAX,
        )
        async with session:
            response = await session.request(
                request.method,
                URL(request.url).extend_query(list(request.query)),
                headers=_spelled_alike(request.headers),
                data=_sendable(request.body),
                allow_redirects=False,
            )
            try:
                body = await _read(response, request.answer_bytes_max)
            finally:
                response.close()
        headers: dict[str, list[str]] = {}
        for name, value in response.headers.items():
            headers.setdefault(name.lower(), []).append(value)
        return HttpAnswer(response.status, response.reason or "", headers, body)


class _Guard:
    """Judges each address when its connection is made: after DNS, and for literals too."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self.denied: list[str] = []

    def socket(self, info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        reason = self._policy.verdict(address[0])
        if reason is not None:
            self.denied.append(reason)
            raise PermissionError(reason)
        return socket.socket(family=family, type=kind, proto=protocol)


class _Resolver(AbstractResolver):
    """Resolves in threads of its own: slow names must not hold up the process's other threads."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS_MAX, thread_name_prefix="resolve")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        look_up = partial(
            socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG
        )
        infos = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=found,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found, _, protocol, _, address in infos
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


async def _send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a GET or PUT again by itself; Retry is the machine's business."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise SocketFailed(_sentence(error)) from error


def _spelled_alike(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    # aiohttp keeps only the last of two headers whose names differ in case.
    spelling: dict[str, str] = {}
    sent = [(spelling.setdefault(name.lower(), name), value) for name, value in headers]
    return [*sent, ("Accept-Encoding", "gzip, deflate")]


def _sendable(body: bytes | None) -> bytes | io.BytesIO | None:
    # aiohttp writes bytes in one go; what is large it reads piece by piece.
    return body if body is None or len(body) <= _PIECE_BYTES else io.BytesIO(body)


async def _read(response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "identity":
        return await _read_raw(response, bytes_max)
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise SocketFailed(f"the answer's Content-Encoding is {encoding}, which was not asked for")
    body = bytearray()
    inflater = _Inflater(gzip=encoding != "deflate")
    raw_bytes = 0
    async for chunk in response.content.iter_any():
        raw_bytes += len(chunk)
        try:
            inflater.feed(chunk, body, bytes_max)
        except zlib.error as error:
            raise SocketFailed(f"the answer is not the {encoding} that it says it is") from error
        if len(body) > bytes_max or raw_bytes > bytes_max + _RAW_SLACK_BYTES:
            raise _too_large(bytes_max)
    if raw_bytes and not inflater.whole:
        raise SocketFailed(f"the answer's {encoding} body ends early")
    return bytes(body)


async def _read_raw(response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    if response.method != "HEAD" and (response.content_length or 0) > bytes_max:
        raise _too_large(bytes_max)
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > bytes_max:
            raise _too_large(bytes_max)
    return bytes(body)


class _Inflater:
    """Inflates a gzip stream of any number of members, or a deflate one with or without header."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._stream: zlib._Decompress | None = None
        self.whole = False

    def feed(self, data: bytes, into: bytearray, bytes_max: int) -> None:
        """Add what `data` inflates to, until `into` has more than `bytes_max` bytes."""
        while data and len(into) <= bytes_max:
            if self._stream is None:
                self._stream = zlib.decompressobj(self._window(data[0]))
                self.whole = False
            into += self._stream.decompress(data, bytes_max + 1 - len(into))
            data = self._stream.unconsumed_tail
            if self._stream.eof:
                self.whole = True
                data = self._stream.unused_data if self._gzip else b""
                self._stream = None if self._gzip else self._stream

    def _window(self, first: int) -> int:
        if self._gzip:
            return 16 + zlib.MAX_WBITS
        # Many servers leave out the zlib header, whose first byte names method 8.
        return zlib.MAX_WBITS if first & 0x0F == 8 else -zlib.MAX_WBITS


def _too_large(bytes_max: int) -> AnswerTooLarge:
    return AnswerTooLarge(f"the answer has more than {bytes_max} bytes")


def _sentence(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text if len(text) <= 1_000 else f"{text[:1_000]}..."
