"""JSON pointers: how a problem says where it is.

Spec: RFC 6901.
"""


def escaped(name: str) -> str:
    """A member's name as a token of a pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def unescaped(token: str) -> str:
    """The member's name that a token stands for."""
    return token.replace("~1", "/").replace("~0", "~")
