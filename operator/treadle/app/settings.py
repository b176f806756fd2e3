"""Settings of an installation: environment variables, each overridable by a flag of the command.

One rule: this room alone reads the environment.
"""

import math
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from treadle.asl.limits import BOUNDS, DEFAULT, PROFILES, SETTINGS, Bound, Limits
from treadle.kube.podsecurity import Level

_PROFILE = "TREADLE_LIMITS_PROFILE"


@dataclass(frozen=True, slots=True)
class Settings:
    """How one operator process runs.

    Attributes:
        kubeconfig: path; None for the service account or the usual places.
        context: of the kubeconfig.
        namespaces: to serve; empty for all.
        lease_namespace, lease_name: of the Lease; one for each scope.
        lease: whether a Lease is held at all; without it nothing keeps a second operator away.
        identity: the Lease's holder.
        health_host, health_port: where /healthz, /readyz and /metrics are served; port 0 for none.
        api_host, api_port: where answers to task tokens are taken; port 0 for none.
        pod_ip: where another process reaches that, to hand on what it is asked.
        api_url: where Tasks reach it; they find it in TREADLE_API_URL.
        token_secret: the Secret beside the Lease with the keys of task tokens.
        http_allow_loopback: HTTP tasks may call loopback addresses.
        http_allow, http_deny: CIDRs.
        region, account: of ARNs in the context object.
        start_failure_seconds: patience with an image that cannot be pulled, and with a container
            or volume that cannot be made.
        drain_seconds: how long HTTP calls may take to end after SIGTERM.
        pod_security_level: Pods above it are refused.
        limits: of executions; a machine may lower them.
        log_format, log_level: of stderr.
        environment: for credentials that need it.
    """

    kubeconfig: str | None = None
    context: str | None = None
    namespaces: tuple[str, ...] = ()
    lease_namespace: str = "default"
    lease_name: str = "treadle"
    lease: bool = True
    identity: str = ""
    health_host: str = "127.0.0.1"
    health_port: int = 8080
    api_host: str = "127.0.0.1"
    api_port: int = 8081
    pod_ip: str = "127.0.0.1"
    api_url: str = ""
    token_secret: str = "treadle-token-keys"
    http_allow_loopback: bool = False
    http_allow: tuple[str, ...] = ()
    http_deny: tuple[str, ...] = ()
    region: str = "us-east-1"
    account: str = ""
    pod_security_level: Level = "baseline"
    start_failure_seconds: float = 600.0
    drain_seconds: float = 80.0
    limits: Limits = DEFAULT
    log_format: str = "json"
    log_level: str = "INFO"
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def api_address(self) -> str:
        """Where another process reaches what takes answers to task tokens."""
        host = f"[{self.pod_ip}]" if ":" in self.pod_ip else self.pod_ip
        return f"http://{host}:{self.api_port}"


def from_environment(flags: Mapping[str, object]) -> Settings:
    """Settings from TREADLE_* variables; a flag that was given is stronger.

    Args:
        flags: members of Settings; and `limits_profile`, the name of a profile.

    Raises:
        ValueError: a variable cannot be used; the sentence says which and why.
    """
    given = {name: value for name, value in flags.items() if value not in (None, ())}
    profile = given.pop("limits_profile", None)
    found = _from_variables(None if profile is None else str(profile))
    return replace(found, **given)  # type: ignore[arg-type]


def _from_variables(profile: str | None) -> Settings:
    read = os.environ.get
    lease_name = read("TREADLE_LEASE_NAME") or "treadle"
    return Settings(
        kubeconfig=read("KUBECONFIG") or None,
        context=read("TREADLE_CONTEXT") or None,
        namespaces=_words(read("TREADLE_NAMESPACES", "")),
        lease_namespace=read("TREADLE_LEASE_NAMESPACE") or read("POD_NAMESPACE") or "default",
        lease_name=lease_name,
        lease=_flag("TREADLE_LEASE", "true"),
        identity=read("TREADLE_IDENTITY") or f"{socket.gethostname()}-{os.getpid()}",
        health_host=read("TREADLE_HEALTH_HOST") or "127.0.0.1",
        health_port=_port("TREADLE_HEALTH_PORT", "8080"),
        api_host=read("TREADLE_API_HOST") or "127.0.0.1",
        api_port=_port("TREADLE_API_PORT", "8081"),
        pod_ip=read("POD_IP") or "127.0.0.1",
        api_url=read("TREADLE_API_URL") or "",
        token_secret=read("TREADLE_TOKEN_SECRET") or f"{lease_name}-token-keys",
        http_allow_loopback=_flag("TREADLE_HTTP_ALLOW_LOOPBACK", "false"),
        http_allow=_words(read("TREADLE_HTTP_ALLOW_CIDRS", "")),
        http_deny=_words(read("TREADLE_HTTP_DENY_CIDRS", "")),
        region=read("TREADLE_REGION") or "us-east-1",
        account=read("TREADLE_ACCOUNT") or "",
        pod_security_level=_level(read("TREADLE_POD_SECURITY_LEVEL") or "baseline"),
        start_failure_seconds=_seconds("TREADLE_START_FAILURE_SECONDS", "600"),
        drain_seconds=_seconds("TREADLE_DRAIN_SECONDS", "80"),
        limits=_limits(profile),
        log_format=_one_of("TREADLE_LOG_FORMAT", ("json", "text")),
        log_level=_one_of("TREADLE_LOG_LEVEL", ("INFO", "DEBUG", "WARNING", "ERROR", "CRITICAL")),
        environment=dict(os.environ),
    )


def _limits(profile: str | None) -> Limits:
    """A profile's, with what the variables say otherwise."""
    name = profile or _one_of(_PROFILE, tuple(PROFILES))
    known = {bound.setting: bound for bound in BOUNDS}
    for variable in os.environ:
        # One that is misspelt would leave everybody unbounded.
        if variable.startswith(SETTINGS) and variable not in (*known, _PROFILE):
            raise ValueError(f"{variable} is no limit; there are: {', '.join(known)}")
    given = {
        bound.name: _limit(bound, text)
        for variable, bound in known.items()
        if (text := os.environ.get(variable))
    }
    return replace(PROFILES[name], **given)


def _limit(bound: Bound, text: str) -> int:
    value = int(text) if text.isdecimal() and len(text) < 20 else None
    if value is None or not bound.allows(value):
        raise ValueError(f"{bound.setting} is {text!r:.100}; it must be {bound.allowed}")
    return value


def _port(name: str, default: str) -> int:
    text = os.environ.get(name) or default
    if not text.isdecimal() or int(text) > 65535:
        raise ValueError(f"{name} is {text!r}; it must be a port number")
    return int(text)


def _level(text: str) -> Level:
    match text:
        case "privileged" | "baseline" | "restricted":
            return text
        case _:
            raise ValueError(
                f"TREADLE_POD_SECURITY_LEVEL is {text!r}; it must be privileged, baseline or "
                "restricted"
            )


def _one_of(name: str, words: Sequence[str]) -> str:
    text = os.environ.get(name) or words[0]
    if text not in words:
        raise ValueError(f"{name} is {text!r}; it must be one of {', '.join(words)}")
    return text


def _seconds(name: str, default: str) -> float:
    text = os.environ.get(name) or default
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError(f"{name} is {text!r}; it must be a number of seconds above 0")
    return seconds


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.replace(",", " ").split() if word)


def _flag(name: str, default: str) -> bool:
    value = (os.environ.get(name) or default).lower()
    if value not in ("true", "false"):
        raise ValueError(f"{name} is {value!r}; it must be true or false")
    return value == "true"
