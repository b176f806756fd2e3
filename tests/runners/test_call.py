"""Parameters to requests, answers to results: tables."""

import json
from typing import Any

import pytest

from treadle.asl.errors import StateError
from treadle.runners.call import AWS, NATIVE, Call, CallSettings, InvalidCall, call_of, result_of
from treadle.runners.transport import HttpAnswer

URL = "https://api.example/v1"
SETTINGS = CallSettings()


def a_call(resource: str = NATIVE, **members: Any) -> Call:
    parameters = {"ApiEndpoint": URL, "Method": "GET", **members}
    return call_of(resource, parameters, SETTINGS, 1000)


def sent(**members: Any) -> tuple[bytes | None, str]:
    request = a_call(Method="POST", **members).request
    return request.body, dict(request.headers).get("Content-Type", "")


def test_the_least_that_makes_a_call() -> None:
    call = a_call()
    request = call.request
    assert (request.method, request.url, request.body, request.query) == ("GET", URL, None, [])
    assert request.headers == [("User-Agent", "Treadle|HttpInvoke"), ("Accept", "*/*")]
    assert (request.timeout_seconds, request.answer_bytes_max) == (60.0, 1000)
    assert (call.key_per_entry, call.has_key) == (False, False)


def test_headers_and_query_take_text_numbers_booleans_null_and_lists() -> None:
    values = {"a": "x", "b": 1, "c": 1.5, "d": True, "e": None, "f": ["y", 2]}
    pairs = [("a", "x"), ("b", "1"), ("c", "1.5"), ("d", "true"), ("e", ""), ("f", "y"), ("f", "2")]
    request = a_call(Headers=values, QueryParameters=values).request
    assert request.query == pairs
    assert request.headers[:7] == pairs


def test_headers_of_the_user_win() -> None:
    given = {"user-agent": "mine", "accept": "text/csv", "idempotency-key": "k"}
    call = a_call(Headers=given, RequestBody={})
    assert call.has_key
    names = [name for name, _ in call.request.headers]
    assert names == ["user-agent", "accept", "idempotency-key", "Content-Type"]


@pytest.mark.parametrize(
    ("body", "bytes_sent", "content_type"),
    [
        ({"a": [1, None]}, b'{"a":[1,null]}', "application/json"),
        ([1], b"[1]", "application/json"),
        (False, b"false", "application/json"),
        ("é", "é".encode(), "text/plain; charset=utf-8"),
        (None, None, ""),
    ],
)
def test_bodies(body: Any, bytes_sent: bytes | None, content_type: str) -> None:
    assert sent(RequestBody=body) == (bytes_sent, content_type)


@pytest.mark.parametrize(
    ("array_format", "text"),
    [
        (None, "array[0]=a&array[1]=b"),
        ("INDICES", "array[0]=a&array[1]=b"),
        ("REPEAT", "array=a&array=b"),
        ("COMMAS", "array=a,b"),
        ("BRACKETS", "array[]=a&array[]=b"),
    ],
)
def test_arrays_are_url_encoded_as_on_aws(array_format: str | None, text: str) -> None:
    options = {"RequestEncodingOptions": {"ArrayFormat": array_format}} if array_format else {}
    body, content_type = sent(
        RequestBody={"array": ["a", "b"]},
        Transform={"RequestBodyEncoding": "URL_ENCODED", **options},
    )
    assert body == text.encode()
    assert content_type == "application/x-www-form-urlencoded"


def test_other_values_are_url_encoded() -> None:
    value = {"a b": "ä&=", "n": {"x": {"y[": 1}}, "t": True, "z": None, "l": [{"k": 1}], "e": []}
    body, _ = sent(RequestBody=value, Transform={"RequestBodyEncoding": "URL_ENCODED"})
    assert body == b"a+b=%C3%A4%26%3D&n[x][y%5B]=1&t=true&z=&l[0][k]=1"


def test_the_native_name_has_a_timeout_and_a_key_of_its_own() -> None:
    call = a_call(timeoutSeconds=2.5, idempotencyKey="entry")
    assert (call.request.timeout_seconds, call.key_per_entry) == (2.5, True)
    assert a_call(Headers={"Authorization": "Bearer x"}).request.headers[0][1] == "Bearer x"


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


URL_ENCODED = {"RequestBodyEncoding": "URL_ENCODED"}

INVALID = [
    ({"ApiEndpoint": None}, "ApiEndpoint must be a URL"),
    ({"ApiEndpoint": 7}, "ApiEndpoint must be a URL"),
    ({"ApiEndpoint": "api.example/v1"}, "absolute http or https"),
    ({"ApiEndpoint": "ftp://api.example"}, "absolute http or https"),
    ({"ApiEndpoint": "https:///x"}, "absolute http or https"),
    ({"ApiEndpoint": "https://[x/"}, "is no URL"),
    ({"ApiEndpoint": "https://a:b/"}, "is no URL"),
    ({"ApiEndpoint": "https://me:secret@a/"}, "user or a password"),
    ({"Method": None}, "Method is missing"),
    ({"Method": "TRACE"}, "Method must be one of GET"),
    ({"Method": ["GET"]}, "Method must be one of GET"),
    ({"Headers": "x"}, "Headers must be an object"),
    ({"Headers": {"a b": "x"}}, "no name of a header"),
    ({"Headers": {"a": "x\r\nb: y"}}, "control character"),
    ({"Headers": {"a": {}}}, "Headers.a must be text"),
    ({"Headers": {"a": [[]]}}, "Headers.a must be text"),
    ({"Headers": {"host": "x"}}, "host"),
    ({"Headers": {"Transfer-Encoding": "chunked"}}, "Transfer-Encoding"),
    ({"QueryParameters": []}, "QueryParameters must be an object"),
    ({"QueryParameters": {"a": {}}}, "QueryParameters.a must be text"),
    ({"Transform": "x"}, "Transform must be an object"),
    ({"Transform": {"X": 1}}, "no member X"),
    ({"Transform": {"RequestBodyEncoding": "XML"}}, "must be one of NONE, URL_ENCODED"),
    ({"Transform": {"RequestEncodingOptions": {"ArrayFormat": "COMMAS"}}}, "URL_ENCODED"),
    (
        {"Transform": {**URL_ENCODED, "RequestEncodingOptions": {"ArrayFormat": "X"}}},
        "must be one of INDICES",
    ),
    ({"Transform": URL_ENCODED, "RequestBody": "a=b"}, "must be an object"),
    ({"Transform": URL_ENCODED, "RequestBody": {"a": deep(300)}}, "too deeply"),
    (
        {
            "Transform": {**URL_ENCODED, "RequestEncodingOptions": {"ArrayFormat": "COMMAS"}},
            "RequestBody": {"a": [[1]]},
        },
        "COMMAS",
    ),
    ({"RequestBody": "\ud800"}, "surrogates"),
    ({"Authentication": {"ConnectionArn": "x"}}, "Authentication is not supported yet"),
    ({"InvocationConfig": {"ConnectionArn": "x"}}, "InvocationConfig is not supported yet"),
    ({"Url": "x"}, "no member Url"),
]


@pytest.mark.parametrize("resource", [NATIVE, AWS])
@pytest.mark.parametrize(("members", "words"), INVALID)
def test_parameters_that_make_no_call(resource: str, members: Any, words: str) -> None:
    with pytest.raises(InvalidCall, match=words) as raised:
        a_call(resource, **members)
    error = raised.value.error
    name = "Treadle.InvalidParameters" if resource == NATIVE else "States.Runtime"
    assert error.name == name
    assert error.cause is not None
    assert error.cause.startswith(f"The parameters of {resource} are not valid: ")


@pytest.mark.parametrize("value", [0, -1, 901, True, "5", [1]])
def test_a_timeout_is_a_number_in_its_range(value: Any) -> None:
    with pytest.raises(InvalidCall, match="above 0 and at most 900"):
        a_call(timeoutSeconds=value)


@pytest.mark.parametrize(
    "members",
    [
        {"timeoutSeconds": 5},
        {"idempotencyKey": "entry"},
        {"Headers": {"Authorization": "x"}},
        {"Headers": {"If-Match": "x"}},
        {"Headers": {"x-amz-date": "x"}},
        {"Headers": {"X-Forwarded-For": "x"}},
    ],
)
def test_what_aws_does_not_know_is_refused_under_its_name(members: Any) -> None:
    assert a_call(NATIVE, **members)
    with pytest.raises(InvalidCall) as raised:
        a_call(AWS, **members)
    assert raised.value.error.name == "States.Runtime"


def test_parameters_must_be_an_object() -> None:
    with pytest.raises(InvalidCall, match="must be an object"):
        call_of(NATIVE, [], SETTINGS, 1000)
    with pytest.raises(InvalidCall, match="idempotencyKey must be one of"):
        a_call(idempotencyKey="never")


# ------------------------------------------------------------------------------------- answers


def an_answer(body: bytes = b"", content_type: str = "", status: int = 200, **headers: Any) -> Any:
    named = {"content-type": [content_type]} if content_type else {}
    return HttpAnswer(status, "Reason", {**named, **headers}, body)


def test_a_result_has_the_shape_of_aws() -> None:
    answer = HttpAnswer(
        200,
        "OK",
        {"content-type": ["application/json"], "x": ["1", "2"]},
        b'{"a": 1.0, "b": [12345678901234567]}',
    )
    assert result_of(NATIVE, answer, 1000) == (
        '{"Headers":{"content-type":["application/json"],"x":["1","2"]},'
        '"ResponseBody":{"a":1.0,"b":[12345678901234567]},'
        '"StatusCode":200,"StatusText":"OK"}'
    )


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", b"[1]", [1]),
        ("application/json; charset=utf-8", b"[1]", [1]),
        ("Application/Problem+JSON", b"[1]", [1]),
        ("text/json", b"[1]", [1]),
        ("application/json", b"", ""),
        ("application/json", b"\xef\xbb\xbf[1]", [1]),
        ("application/json", b'"\\ud800"', "\ud800"),
        ("text/plain", b"[1]", "[1]"),
        ("", b"[1]", "[1]"),
        ("text/plain; charset=iso-8859-1", b"\xe9", "é"),
        ('text/plain; charset="UTF-16"', "é".encode("utf-16"), "é"),
        ("image/png", b"", ""),
        ("application/jsonl", b"[1]", "[1]"),
    ],
)
def test_bodies_of_answers(content_type: str, body: bytes, expected: Any) -> None:
    output = result_of(NATIVE, an_answer(body, content_type), 1000)
    assert isinstance(output, str)
    assert json.loads(output)["ResponseBody"] == expected


@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        ("application/octet-stream", b"x", "not text"),
        ("image/png", b"x", "not text"),
        ("text/plain", b"\xff", "is not text in utf-8"),
        ("text/plain; charset=klingon", b"x", "charset 'klingon' is not known"),
        ("text/plain; charset=punycode", b"x", "not known"),
        ("text/plain; charset=zlib", b"x", "not known"),
        ("text/plain; charset=" + "x" * 5_000, b"x", "not known"),
        ("application/json", b"{", "says that it is JSON and is not"),
        ("application/json", b"NaN", "says that it is JSON and is not"),
        ("application/json", b"[" * 100_000, "JSON"),
        ("application/json", b"[" * 900 + b"]" * 900, None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bodies_that_cannot_be_used(content_type: str, body: bytes, words: str | None) -> None:
    error = result_of(NATIVE, an_answer(body, content_type), 1_000_000)
    if words is None and isinstance(error, str):
        return  # deep, and still within what the JSON libraries take
    assert isinstance(error, StateError)
    assert error.name == "Treadle.InvalidResult"
    assert (words or "nested") in (error.cause or "")


def test_a_body_that_cannot_be_used_has_the_name_of_aws_under_its_own() -> None:
    error = result_of(AWS, an_answer(b"{", "application/json"), 1000)
    assert isinstance(error, StateError)
    assert error.name == "States.Runtime"


def test_headers_count_towards_the_payload() -> None:
    assert isinstance(result_of(NATIVE, an_answer(b"x" * 100, "text/plain"), 200), str)
    error = result_of(NATIVE, an_answer(b"x" * 100, "text/plain", x=["y" * 100]), 200)
    assert isinstance(error, StateError)
    assert error.name == "States.DataLimitExceeded"


@pytest.mark.parametrize(
    ("answer", "name", "cause"),
    [
        (an_answer(b"slow down", "text/plain", 429), "429", "slow down"),
        (an_answer(b'{"e": 1}', "application/json", 500), "500", '{"e": 1}'),
        (an_answer(b"", "", 404), "404", "Reason"),
        (an_answer(b"x", "image/png", 400), "400", "Reason"),
        (an_answer(b"a\xff", "text/plain", 400), "400", "a\ufffd"),
        (an_answer(b"a\xff", "text/plain; charset=nope", 400), "400", "a\ufffd"),
        (
            an_answer(b"moved", "text/plain", 302, location=["/new"]),
            "302",
            "Redirects are not followed; this one leads to /new",
        ),
        (an_answer(b"", "", 304), "304", "Reason"),
    ],
)
def test_other_statuses_fail_with_what_the_server_says(
    answer: HttpAnswer, name: str, cause: str
) -> None:
    assert result_of(NATIVE, answer, 1000) == StateError(f"States.Http.StatusCode.{name}", cause)


def test_a_cause_is_bounded() -> None:
    error = result_of(NATIVE, an_answer(b"x" * 1_000_000, "text/plain", 500), 1_000_000)
    assert isinstance(error, StateError)
    assert len(error.cause or "") == 32_768
