"""Real calls over loopback against servers that behave badly."""

import asyncio
import contextlib
import gzip
import shutil
import socket
import ssl
import subprocess
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import RawTestServer

from treadle.runners.addresses import AddressPolicy, Lists
from treadle.runners.transport import (
    AddressDenied,
    AiohttpTransport,
    AnswerTooLarge,
    HttpRequest,
    NotARequest,
    SocketFailed,
)

DESK = AddressPolicy(loopback_allowed=True)
CLUSTER = AddressPolicy()

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def a_transport(policy: AddressPolicy = DESK, **options: Any) -> AsyncIterator[Any]:
    transport = AiohttpTransport(lambda _: policy, **options)
    yield transport
    await transport.close()


@contextlib.asynccontextmanager
async def a_server(handler: Handler, policy: AddressPolicy = DESK) -> AsyncIterator[Any]:
    """Gives `call(**members of HttpRequest)`."""
    async with RawTestServer(handler) as server, a_transport(policy) as transport:

        async def call(path: str = "/", **members: Any) -> Any:
            members.setdefault("method", "GET")
            return await transport.call(HttpRequest(url=str(server.make_url(path)), **members))

        yield call


@contextlib.asynccontextmanager
async def raw_server(talk: Talk) -> AsyncIterator[str]:
    """A server that says exactly what `talk` writes; gives its URL."""

    meetings: list[asyncio.Task[None]] = []

    def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def talk_and_close() -> None:
            try:
                await talk(reader, writer)
            finally:
                writer.close()

        meetings.append(asyncio.create_task(talk_and_close()))

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    for meeting in meetings:
        meeting.cancel()
    await asyncio.gather(*meetings, return_exceptions=True)


async def test_a_request_is_sent_as_it_is_and_the_answer_is_read_whole() -> None:
    seen: dict[str, Any] = {}

    async def handler(request: web.BaseRequest) -> web.Response:
        seen.update(
            method=request.method,
            path=request.raw_path,
            headers=list(request.headers.items()),
            body=await request.read(),
        )
        answer = web.Response(status=201, text="made")
        answer.headers.add("X-Two", "1")
        answer.headers.add("X-Two", "2")
        return answer

    async with a_server(handler) as call:
        answer = await call(
            "/a%2Fb?x=1",
            method="POST",
            headers=[("X-A", "1"), ("x-a", "2")],
            query=[("q", "a b&c"), ("q", "é")],
            body=b"hello",
        )
    assert (answer.status, answer.reason, answer.body) == (201, "Created", b"made")
    assert answer.headers["x-two"] == ["1", "2"]
    assert seen["method"] == "POST"
    assert seen["path"] == "/a%2Fb?x=1&q=a+b%26c&q=%C3%A9"
    assert seen["body"] == b"hello"
    names = [name.lower() for name, _ in seen["headers"]]
    assert sorted(names) == [
        "accept-encoding",
        "connection",
        "content-length",
        "host",
        "x-a",
        "x-a",
    ]


async def test_a_server_that_never_answers_costs_the_timeout_and_no_more() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with a_server(handler) as call:
        with pytest.raises(SocketFailed, match=r"within 0\.1 s"):
            await call(timeout_seconds=0.1)


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX-A: 1\r\n"])
async def test_headers_that_come_slowly_do_not_hold_a_call(start: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        await reader.read()

    async with raw_server(talk) as url, a_transport() as transport:
        with pytest.raises(SocketFailed, match="within"):
            await transport.call(HttpRequest("GET", url, timeout_seconds=0.1))


async def test_a_body_that_stalls_does_not_hold_a_call() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await reader.read()

    async with raw_server(talk) as url, a_transport() as transport:
        with pytest.raises(SocketFailed, match="within"):
            await transport.call(HttpRequest("GET", url, timeout_seconds=0.1))


async def test_a_gigabyte_is_not_read_past_the_limit() -> None:
    sent = 0

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            for _ in range(16_384):
                await answer.write(bytes(65_536))
                sent += 65_536
        return answer

    async with a_server(handler) as call:
        with pytest.raises(AnswerTooLarge, match="1000 bytes"):
            await call(answer_bytes_max=1000)
    assert sent < 32 * 1024 * 1024  # what sockets and buffers of both ends hold


async def test_a_length_that_is_too_large_is_believed_at_once() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        await reader.read()

    async with raw_server(talk) as url, a_transport() as transport:
        with pytest.raises(AnswerTooLarge):
            await transport.call(HttpRequest("GET", url))


def by_kind(value: object) -> str:
    """A test's name must not hold a megabyte, nor the time that gzip writes down."""
    return value if isinstance(value, str) else type(value).__name__


def an_answer_in(encoding: str, body: bytes) -> Handler:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=body, headers={"Content-Encoding": encoding})

    return handler


def deflated(data: bytes, window: int) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, window)
    return stream.compress(data) + stream.flush()


BOMB = gzip.compress(bytes(64 * 1024 * 1024))


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", BOMB),
        ("deflate", deflated(bytes(8 * 1024 * 1024), 15)),
        # A hundred thousand members of nothing are worth no more than the limit either.
        ("gzip", gzip.compress(b"") * 100_000),
    ],
    ids=by_kind,
)
async def test_a_bomb_is_not_inflated_past_the_limit(encoding: str, body: bytes) -> None:
    async with a_server(an_answer_in(encoding, body)) as call:
        with pytest.raises(AnswerTooLarge):
            await call(answer_bytes_max=100_000)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b"hello")),
        ("x-gzip", gzip.compress(b"hello")),
        ("gzip", gzip.compress(b"hel") + gzip.compress(b"lo")),
        ("deflate", deflated(b"hello", 15)),
        ("deflate", deflated(b"hello", -15)),
        ("identity", b"hello"),
        (" GZIP ", gzip.compress(b"hello")),
    ],
    ids=by_kind,
)
async def test_compressed_answers_are_inflated(encoding: str, body: bytes) -> None:
    async with a_server(an_answer_in(encoding, body)) as call:
        assert (await call(answer_bytes_max=5)).body == b"hello"


@pytest.mark.parametrize(
    ("encoding", "body", "words"),
    [
        ("gzip", b"hello", "not the gzip"),
        ("gzip", gzip.compress(b"hello")[:-6], "ends early"),
        ("br", b"hello", "not asked for"),
    ],
    ids=by_kind,
)
async def test_a_damaged_encoding_is_no_answer(encoding: str, body: bytes, words: str) -> None:
    async with a_server(an_answer_in(encoding, body)) as call:
        with pytest.raises(SocketFailed, match=words):
            await call()


async def test_a_redirect_to_the_metadata_address_is_only_an_answer() -> None:
    calls = 0

    async def handler(request: web.BaseRequest) -> web.Response:
        nonlocal calls
        calls += 1
        return web.Response(status=302, headers={"Location": "http://169.254.169.254/"})

    async with a_server(handler) as call:
        answer = await call()
    assert (answer.status, answer.headers["location"]) == (302, ["http://169.254.169.254/"])
    assert calls == 1


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "0x7f.1", "0.0.0.0"]
)
async def test_no_spelling_of_loopback_gets_through(host: str) -> None:
    async with a_transport(CLUSTER) as transport:
        with pytest.raises((AddressDenied, NotARequest), match=r"loopback|unspecified|URL"):
            await transport.call(HttpRequest("GET", f"http://{host}:1/"))


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "https://[fd00:ec2::254]/"])
async def test_metadata_addresses_are_denied_before_anything_is_sent(url: str) -> None:
    async with a_transport(DESK) as transport:
        with pytest.raises(AddressDenied, match="metadata"):
            await transport.call(HttpRequest("GET", url))


class Told(AbstractResolver):
    """Resolves every name to what it was told."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        assert family in (socket.AF_UNSPEC, socket.AF_INET)
        flags = socket.AI_NUMERICHOST
        inet = socket.AF_INET
        return [
            ResolveResult(hostname=host, host=a, port=port, family=inet, proto=0, flags=flags)
            for a in self.addresses
        ]

    async def close(self) -> None:
        pass


async def test_a_name_is_judged_by_what_it_resolves_to() -> None:
    async with a_transport(DESK, resolver=Told("169.254.169.254")) as transport:
        with pytest.raises(AddressDenied, match=r"169\.254\.169\.254 is a cloud"):
            await transport.call(HttpRequest("GET", "http://innocent.example/"))


async def test_a_name_with_one_allowed_address_goes_there() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    resolver = Told("169.254.169.254", "127.0.0.1")
    async with raw_server(talk) as url, a_transport(DESK, resolver=resolver) as transport:
        answer = await transport.call(HttpRequest("GET", url.replace("127.0.0.1", "two.example")))
    assert answer.body == b"ok"


async def test_a_name_that_does_not_resolve_is_no_answer() -> None:
    async with a_transport() as transport:
        with pytest.raises(SocketFailed):
            await transport.call(HttpRequest("GET", "http://nothing.invalid/"))


async def test_each_call_is_judged_by_its_namespace_as_it_is_now() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await reader.read()

    policies = {"a": DESK, "b": AddressPolicy(lists=(Lists.of("b", deny=["127.0.0.0/8"]),))}
    async with raw_server(talk) as url:
        transport = AiohttpTransport(policies.__getitem__)
        # The connection that "a" opened would serve "b" too, if it were kept.
        assert (await transport.call(HttpRequest("GET", url, namespace="a"))).body == b"ok"
        with pytest.raises(AddressDenied):
            await transport.call(HttpRequest("GET", url, namespace="b"))
        policies["a"] = CLUSTER
        with pytest.raises(AddressDenied):
            await transport.call(HttpRequest("GET", url, namespace="a"))
        await transport.close()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_a_lost_connection_is_not_called_again(method: str) -> None:
    calls = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        await reader.readuntil(b"\r\n\r\n")

    async with raw_server(talk) as url, a_transport() as transport:
        with pytest.raises(SocketFailed):
            await transport.call(HttpRequest(method, url))
    assert calls == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"this is not HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 20_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 5_000 + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 99999 OK\r\n\r\n",
    ],
    ids=by_kind,
)
async def test_an_answer_that_is_not_http_is_no_answer(answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    async with raw_server(talk) as url, a_transport() as transport:
        with pytest.raises(SocketFailed):
            await transport.call(HttpRequest("GET", url, timeout_seconds=5))


async def test_cookies_are_not_kept() -> None:
    cookies: list[str | None] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        cookies.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "session=1; Path=/"})

    async with a_server(handler) as call:
        await call()
        await call()
    assert cookies == [None, None]


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(text="direct")

    async with a_server(handler) as call:
        assert (await call()).body == b"direct"


async def test_no_more_connections_than_allowed_are_open_at_once() -> None:
    open_now = most = 0
    go_on = asyncio.Event()

    async def handler(request: web.BaseRequest) -> web.Response:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        if most == 2:
            go_on.set()
        await go_on.wait()
        open_now -= 1
        return web.Response()

    async with RawTestServer(handler) as server, a_transport(connections_max=2) as transport:
        request = HttpRequest("GET", str(server.make_url("/")))
        await asyncio.gather(*(transport.call(request) for _ in range(6)))
    assert most == 2


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """Files of a certificate of `localhost` that signs itself, and of its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    files = str(tmp_path / "tls.crt"), str(tmp_path / "tls.key")
    command = ["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    out = ["-out", files[0], "-keyout", files[1]]
    subprocess.run([openssl, *command, *names, *out], check=True, capture_output=True)
    return files


@pytest.mark.parametrize(
    ("host", "trusted", "words"),
    [
        ("localhost", True, None),
        ("localhost", False, "self-signed certificate"),
        ("other.example", True, "Hostname mismatch"),
    ],
)
async def test_a_certificate_is_verified(
    certificate: tuple[str, str], host: str, trusted: bool, words: str | None
) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(text="ok")

    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    own.load_cert_chain(*certificate)
    tls = ssl.create_default_context(cafile=certificate[0]) if trusted else None
    resolver = Told("127.0.0.1")
    async with (
        RawTestServer(handler) as plain,
        a_transport(DESK, resolver=resolver, tls=tls) as transport,
    ):
        assert plain.runner is not None
        site = web.TCPSite(plain.runner, "127.0.0.1", 0, ssl_context=own)
        await site.start()
        port = plain.runner.addresses[-1][1]
        request = HttpRequest("GET", f"https://{host}:{port}/")
        if words is None:
            assert (await transport.call(request)).body == b"ok"
        else:
            with pytest.raises(SocketFailed, match=words):
                await transport.call(request)


async def test_tls_that_never_begins_does_not_hold_a_call() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await asyncio.Event().wait()

    async with raw_server(talk) as url, a_transport() as transport:
        with pytest.raises(SocketFailed, match="within"):
            await transport.call(HttpRequest("GET", f"https{url[4:]}", timeout_seconds=0.1))


@pytest.mark.parametrize("url", ["http://", "http://[bad/", "http://a b/", "no-scheme", "ftp://a/"])
async def test_what_is_no_url_is_not_sent(url: str) -> None:
    async with a_transport() as transport:
        with pytest.raises((NotARequest, SocketFailed)):
            await transport.call(HttpRequest("GET", url, timeout_seconds=1))


async def test_a_body_that_is_not_read_does_not_hold_the_answer() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await writer.drain()
        await asyncio.Event().wait()

    async with raw_server(talk) as url, a_transport() as transport:
        answer = await transport.call(HttpRequest("POST", url, body=bytes(20_000_000)))
    assert answer.status == 413
