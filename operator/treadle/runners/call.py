"""From a Task's Parameters to an HTTP request, and from its answer to the Task's result.

One rule: pure; whatever is wrong with Parameters or an answer is a StateError with a sentence.
Source: AWS, "Call HTTPS APIs in Step Functions workflows".
"""

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from treadle.asl import errors
from treadle.asl.errors import StateError
from treadle.asl.json import Json, dumps, loads
from treadle.asl.limits import DEFAULT, VALUE_DEPTH_MAX
from treadle.asl.web import is_json, url_problem
from treadle.runners.transport import HttpAnswer, HttpRequest

NATIVE = "treadle:http"
AWS = "arn:aws:states:::http:invoke"
INVALID_PARAMETERS = "Treadle.InvalidParameters"

_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD")
_MEMBERS = ("ApiEndpoint", "Method", "Headers", "QueryParameters", "RequestBody", "Transform")
_NATIVE_MEMBERS = (*_MEMBERS, "timeoutSeconds", "idempotencyKey")
_CONNECTIONS = ("Authentication", "InvocationConfig")
_ARRAY_FORMATS = ("INDICES", "REPEAT", "COMMAS", "BRACKETS")

# What frames the message, or decides who reads it: the transport's business alone.
_OURS = frozenset(
    [
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
# Source: AWS, the same page, "Headers".
_REFUSED_BY_AWS = _OURS | frozenset(
    [
        "a-im",
        "accept-charset",
        "accept-datetime",
        "authorization",
        "cache-control",
        "content-encoding",
        "content-md5",
        "date",
        "forwarded",
        "from",
        "http2-settings",
        "max-forwards",
        "origin",
        "pragma",
        "referer",
        "server",
        "via",
        "warning",
    ]
)
_PREFIXES_REFUSED_BY_AWS = ("if-", "x-forwarded-", "x-amz-", "x-amzn-")

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BINARY = re.compile(r"(application/octet-stream$)|(image|video|audio)/")
# Text encodings that decode in linear time; Python has some that do not, such as punycode.
_CHARSETS = re.compile(
    r"utf-(8|16|32)(-le|-be|-sig)?|ascii|iso8859-\d+|cp\d+|koi8-[ru]|big5|gb(2312|k|18030)"
    r"|shift_jis|euc_(jp|kr)|iso2022_(jp|kr)"
)


@dataclass(frozen=True, slots=True)
class CallSettings:
    """How calls are made where Parameters do not say.

    Attributes:
        timeout_seconds: for a whole call. AWS: 60.
        timeout_seconds_max: what `timeoutSeconds` may ask for.
        user_agent: sent where Headers has none.
    """

    timeout_seconds: float = 60.0
    timeout_seconds_max: float = 900.0
    user_agent: str = "Treadle|HttpInvoke"


@dataclass(frozen=True, slots=True)
class Call:
    """A request, all but its key.

    Attributes:
        key_per_entry: the Idempotency-Key is the same for all attempts of an entry.
        has_key: Headers name a key themselves.
    """

    request: HttpRequest
    key_per_entry: bool
    has_key: bool


class InvalidCall(Exception):  # noqa: N818 - style.md's way of naming
    """Parameters that make no request; `error` is what the state fails with."""

    def __init__(self, error: StateError) -> None:
        super().__init__(error.cause)
        self.error = error


class _Wrong(Exception):  # noqa: N818
    pass


# -------------------------------------------------------------------------------- Parameters


def call_of(resource: str, parameters: Json, settings: CallSettings, answer_bytes_max: int) -> Call:
    """The call that a Task asks for.

    Raises:
        InvalidCall: it asks for none; `States.Runtime` as on AWS, or `Treadle.InvalidParameters`.
    """
    native = resource == NATIVE
    try:
        return _call(native, parameters, settings, answer_bytes_max)
    except (_Wrong, UnicodeEncodeError) as wrong:
        cause = f"The parameters of {resource} are not valid: {wrong}"
        name = INVALID_PARAMETERS if native else errors.RUNTIME
        raise InvalidCall(StateError(name, cause)) from None


def _call(native: bool, parameters: Json, settings: CallSettings, answer_bytes_max: int) -> Call:
    members = _object(parameters, "Parameters")
    _refuse_members(native, members)
    transform = _Transform.of(members.get("Transform"))
    headers = list(_headers(native, members.get("Headers")))
    named = {name.lower() for name, _ in headers}
    body = None
    if members.get("RequestBody") is not None:
        body, content_type = transform.body(members["RequestBody"])
        if "content-type" not in named:
            headers.append(("Content-Type", content_type))
    if "user-agent" not in named:
        headers.append(("User-Agent", settings.user_agent))
    if "accept" not in named:
        headers.append(("Accept", "*/*"))
    request = HttpRequest(
        method=_method(members.get("Method")),
        url=_url(members.get("ApiEndpoint")),
        headers=headers,
        query=list(_pairs(members.get("QueryParameters"), "QueryParameters")),
        body=body,
        timeout_seconds=_timeout_seconds(members.get("timeoutSeconds"), settings),
        answer_bytes_max=answer_bytes_max,
    )
    key = _one_of(members.get("idempotencyKey", "attempt"), "idempotencyKey", ("attempt", "entry"))
    return Call(request, key == "entry", "idempotency-key" in named)


def _refuse_members(native: bool, members: Mapping[str, Json]) -> None:
    for name in _CONNECTIONS:
        if name in members:
            raise _Wrong(
                f"{name} is not supported yet; leave it out and send what the API asks for in "
                f"Headers (of {NATIVE}, which may name Authorization too)"
            )
    known = _NATIVE_MEMBERS if native else _MEMBERS
    unknown = sorted(members.keys() - set(known))
    if unknown:
        raise _Wrong(f"there is no member {unknown[0]}; there are {', '.join(known)}")


def _object(value: Json, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong(f"{name} must be an object")
    return value


def _one_of(value: Json, name: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise _Wrong(f"{name} must be one of {', '.join(choices)}, not {_short(value)}")
    return str(value)


def _short(value: Json) -> str:
    text = dumps(value)
    return text if len(text) <= 100 else f"{text[:100]}..."


def _method(value: Json) -> str:
    if value is None:
        raise _Wrong("Method is missing")
    return _one_of(value.upper() if isinstance(value, str) else value, "Method", _METHODS)


def _url(value: Json) -> str:
    if not isinstance(value, str) or not value:
        raise _Wrong("ApiEndpoint must be a URL")
    wrong = url_problem(value)
    if wrong:
        raise _Wrong(f"ApiEndpoint: {wrong}")
    return value


def _timeout_seconds(value: Json, settings: CallSettings) -> float:
    if value is None:
        return settings.timeout_seconds
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value <= settings.timeout_seconds_max:
        most = f"{settings.timeout_seconds_max:g}"
        raise _Wrong(f"timeoutSeconds must be a number above 0 and at most {most}")
    return float(value)


def _headers(native: bool, value: Json) -> Iterator[tuple[str, str]]:
    for name, text in _pairs(value, "Headers"):
        lower = name.lower()
        if not _TOKEN.fullmatch(name):
            raise _Wrong(f"{_short(name)} is no name of a header")
        if _CONTROL.search(text):
            raise _Wrong(f"the header {name} holds a control character")
        if native and lower in _OURS:
            raise _Wrong(f"the header {name} cannot be set")
        if not native and (lower in _REFUSED_BY_AWS or lower.startswith(_PREFIXES_REFUSED_BY_AWS)):
            raise _Wrong(f"AWS refuses the header {name}; {NATIVE} takes more of them")
        yield name, text


def _pairs(value: Json, member: str) -> Iterator[tuple[str, str]]:
    if value is None:
        return
    for name, given in _object(value, member).items():
        for item in given if isinstance(given, list) else [given]:
            yield name, _scalar(item, f"{member}.{name}")


def _scalar(value: Json, where: str) -> str:
    if isinstance(value, dict | list):
        raise _Wrong(f"{where} must be text, a number, true, false, or a list of them")
    if isinstance(value, str):
        return value
    return "" if value is None else dumps(value)


# ------------------------------------------------------------------------------ the request's body


@dataclass(frozen=True, slots=True)
class _Transform:
    url_encoded: bool
    array_format: str

    @classmethod
    def of(cls, value: Json) -> "_Transform":
        members = _object({} if value is None else value, "Transform")
        unknown = sorted(members.keys() - {"RequestBodyEncoding", "RequestEncodingOptions"})
        if unknown:
            raise _Wrong(f"Transform has no member {unknown[0]}")
        encoding = members.get("RequestBodyEncoding", "NONE")
        _one_of(encoding, "Transform.RequestBodyEncoding", ("NONE", "URL_ENCODED"))
        options = members.get("RequestEncodingOptions")
        where = "Transform.RequestEncodingOptions"
        options = _object({} if options is None else options, where)
        if options and encoding == "NONE":
            raise _Wrong(f"{where} needs RequestBodyEncoding URL_ENCODED")
        array_format = options.get("ArrayFormat", "INDICES")
        _one_of(array_format, f"{where}.ArrayFormat", _ARRAY_FORMATS)
        return cls(encoding == "URL_ENCODED", array_format)

    def body(self, value: Json) -> tuple[bytes, str]:
        """The bytes to send and their content type."""
        if self.url_encoded:
            pairs = (
                pair
                for name, item in _object(value, "RequestBody, to be URL-encoded,").items()
                for pair in self._form(quote_plus(name), item, 0)
            )
            return "&".join(pairs).encode(), "application/x-www-form-urlencoded"
        if isinstance(value, str):
            return value.encode(), "text/plain; charset=utf-8"
        return dumps(value).encode(), "application/json"

    def _form(self, name: str, value: Json, depth: int) -> Iterator[str]:
        if depth > VALUE_DEPTH_MAX:
            raise _Wrong("RequestBody is nested too deeply")
        if isinstance(value, dict):
            for key, item in value.items():
                yield from self._form(f"{name}[{quote_plus(key)}]", item, depth + 1)
        elif isinstance(value, list) and self.array_format == "COMMAS":
            items = (quote_plus(_scalar(item, "an item of a list with COMMAS")) for item in value)
            yield f"{name}={','.join(items)}"
        elif isinstance(value, list):
            suffix = {"INDICES": "[{}]", "BRACKETS": "[]", "REPEAT": ""}[self.array_format]
            for index, item in enumerate(value):
                yield from self._form(name + suffix.format(index), item, depth + 1)
        else:
            yield f"{name}={quote_plus(_scalar(value, name))}"


# ------------------------------------------------------------------------------------- the answer


def result_of(resource: str, answer: HttpAnswer, payload_bytes_max: int) -> str | StateError:
    """The Task's output as JSON text, or why it failed.

    A body that cannot be used is `Treadle.InvalidResult`; `States.Runtime` as on AWS.
    """
    if not 200 <= answer.status <= 299:
        return StateError(f"States.Http.StatusCode.{answer.status}", _cause(answer))
    try:
        body = _response_body(answer)
        output = dumps(
            {
                "Headers": {name: list(values) for name, values in answer.headers.items()},
                "ResponseBody": body,
                "StatusCode": answer.status,
                "StatusText": answer.reason,
            }
        )
    except (ValueError, RecursionError) as error:
        # json.dumps and json.loads give RecursionError where nesting is deeper than they take.
        sentence = "nested too deeply" if isinstance(error, RecursionError) else error
        name = errors.INVALID_RESULT if resource == NATIVE else errors.RUNTIME
        return StateError(name, f"The answer's body cannot be used: {sentence}")
    if len(output.encode()) > payload_bytes_max:
        sentence = f"The answer with its headers has more than {payload_bytes_max} bytes"
        return StateError(errors.DATA_LIMIT_EXCEEDED, sentence)
    return output


def _content_type(answer: HttpAnswer) -> tuple[str, str]:
    """Media type and charset, in lower case; empty where they are not said."""
    value = next(iter(answer.headers.get("content-type", ())), "")
    media, *options = (part.strip().lower() for part in value.split(";"))
    charsets = (option[8:].strip(" \"'") for option in options if option.startswith("charset="))
    return media, next(charsets, "")


def _response_body(answer: HttpAnswer) -> Json:
    if not answer.body:
        return ""
    media, charset = _content_type(answer)
    if _BINARY.match(media):
        raise ValueError(f"it is {media}, which is not text")
    text = _decoded(answer.body, charset or "utf-8")
    if not is_json(media):
        return text
    try:
        return loads(text)
    except ValueError as error:
        raise ValueError(f"it says that it is JSON and is not: {error}") from None


def _decoded(body: bytes, charset: str, on_error: str = "strict") -> str:
    try:
        name = codecs.lookup(charset).name if len(charset) <= 40 else ""
    except (LookupError, ValueError):
        name = ""
    if not _CHARSETS.fullmatch(name):
        raise ValueError(f"its charset {charset[:40]!r} is not known")
    try:
        text = body.decode(name, on_error)
    except UnicodeDecodeError:
        raise ValueError(f"it is not text in {charset}") from None
    return text.removeprefix("\ufeff")


def _cause(answer: HttpAnswer) -> str:
    """What the other side says, as far as it is text. AWS gives the status text only."""
    if 300 <= answer.status <= 399 and answer.headers.get("location"):
        return f"Redirects are not followed; this one leads to {answer.headers['location'][0]}"
    media, charset = _content_type(answer)
    if not answer.body or _BINARY.match(media):
        return answer.reason
    # A character has at most four bytes, so no more of them are looked at.
    start = answer.body[: DEFAULT.cause_chars_max * 4]
    try:
        text = _decoded(start, charset or "utf-8", "replace")
    except ValueError:
        text = start.decode("utf-8", "replace")
    return text[: DEFAULT.cause_chars_max]
