"""Health checks as Argo CD runs them: a real Lua 5.1 with no more globals than its sandbox has.

One rule: what Argo CD leaves closed (string, math, io, os; a string has no methods) is not here.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lupa import lua51

EXAMPLE = Path(__file__).parents[2] / "examples" / "argocd"
STATES = frozenset(("Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"))
_INSTRUCTIONS_MAX = 100_000  # Argo CD gives a script one second

# Argo CD opens base, table and package (and a clock, which no check of ours needs), and calls.
_SANDBOX = """
local text, instructions_max = ...
local strings = getmetatable("")
strings.__index = nil
local sethook = debug.sethook
local closed = {"string", "math", "io", "os", "debug", "coroutine", "python", "newproxy"}
for _, name in ipairs(closed) do
  _G[name], package.loaded[name] = nil, nil
end
sethook(function() error("the script takes too long") end, "", instructions_max)
return assert(loadstring(text, "health.lua"))()
"""


@dataclass(frozen=True)
class Health:
    """What a check says."""

    status: str
    message: str


def health(obj: Mapping[str, Any], script: str | None = None) -> Health:
    """What Argo CD would say of an object.

    Args:
        obj: the object, as the API server gives it.
        script: the check; that of the object's kind in examples/argocd unless given.

    Raises:
        lua51.LuaError: the script fails.
    """
    if script is None:
        script = health_script(str(obj["apiVersion"]).partition("/")[0], str(obj["kind"]))
    lua = lua51.LuaRuntime(register_eval=False, register_builtins=False)
    lua.globals()["obj"] = _as_lua(lua, obj)
    said = lua.execute(_SANDBOX, script, _INSTRUCTIONS_MAX)
    found = Health(said["status"], said["message"])
    assert set(said) == {"status", "message"}
    assert found.status in STATES
    return found


def health_script(group: str, kind: str) -> str:
    """The check of a kind."""
    return (EXAMPLE / group / kind / "health.lua").read_text(encoding="utf-8")


def _as_lua(lua: Any, value: Any) -> Any:
    """As Argo CD hands it over: a null is nil, so that it is not there."""
    if isinstance(value, Mapping):
        return lua.table_from({key: _as_lua(lua, each) for key, each in value.items()})
    if isinstance(value, list):
        return lua.table_from([_as_lua(lua, each) for each in value])
    return value


# ------------------------------------------------------------------------------------- recordings

RECORDED = Path(__file__).parents[1] / "examples" / "recorded"
_PLAIN = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "2026-01-01T00:00:00Z"),
    (re.compile(r"\btest-[0-9a-f]{8}\b"), "default"),
    (re.compile(r"-[0-9a-f]{16}(-\w{5})?\b"), "-0123456789abcdef"),
)


def plain(text: str) -> str:
    """A text without what is different in every run: times, namespaces, digits of Jobs."""
    for pattern, instead in _PLAIN:
        text = pattern.sub(instead, text)
    return text


def recording(obj: Mapping[str, Any]) -> dict[str, Any]:
    """An object as it is kept: without what is different in every run."""
    found: dict[str, Any] = json.loads(plain(json.dumps(obj)))
    metadata = found["metadata"]
    found["metadata"] = {key: metadata[key] for key in ("name", "namespace", "generation")}
    if "checkpoint" in (found.get("status") or {}):
        found["status"]["checkpoint"] = "1.opaque"
    return found


def recorded(name: str) -> dict[str, Any]:
    """A recorded object by its name."""
    found: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    return found


def record(name: str, obj: Mapping[str, Any]) -> None:
    """Keep an object under a name."""
    text = json.dumps(recording(obj), indent=2, sort_keys=True, ensure_ascii=False)
    (RECORDED / f"{name}.json").write_text(text + "\n", encoding="utf-8")
