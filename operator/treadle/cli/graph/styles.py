"""The style sheet of a picture.

One rule: every text has a contrast of 4.5 or more to what it lies on, in light and in dark.
"""

from typing import Final

_LIGHT: Final = {
    ".page": "fill:#ffffff",
    ".box": "fill:#f8fafc;stroke:#64748b;stroke-width:1.25",
    ".parallel > .box, .map > .box": "fill:#f1f5f9;stroke:#94a3b8",
    ".branch": "fill:#ffffff;stroke:#94a3b8;stroke-dasharray:2 3",
    ".choice > .box": "fill:#eef2ff;stroke:#6366f1",
    ".wait > .box": "fill:#fefce8;stroke:#a16207",
    ".succeed > .box": "fill:#f0fdf4;stroke:#15803d",
    ".fail > .box": "fill:#fef2f2;stroke:#b91c1c",
    ".running > .box": "fill:#dbeafe;stroke:#1d4ed8;stroke-width:2",
    ".succeeded > .box": "fill:#dcfce7;stroke:#15803d;stroke-width:2",
    ".caught > .box": "fill:#fef3c7;stroke:#b45309;stroke-width:2",
    ".failed > .box": "fill:#fee2e2;stroke:#b91c1c;stroke-width:2",
    ".aborted > .box": "fill:#e5e7eb;stroke:#4b5563;stroke-width:2",
    ".way, .ring": "fill:none;stroke:#64748b;stroke-width:1.4",
    ".catch": "stroke:#b91c1c;stroke-dasharray:5 4",
    ".head, .dot": "fill:#64748b",
    ".label": "fill:#ffffff;stroke:#e2e8f0",
    ".name": "fill:#0f172a;font-size:13px;font-weight:600",
    ".small": "fill:#475569;font-size:11px",
}
_DARK: Final = {
    ".page": "fill:#0f172a",
    ".box": "fill:#1e293b;stroke:#94a3b8",
    ".parallel > .box, .map > .box": "fill:#172033;stroke:#64748b",
    ".branch": "fill:#0f172a;stroke:#64748b",
    ".choice > .box": "fill:#262b52;stroke:#a5b4fc",
    ".wait > .box": "fill:#33290f;stroke:#facc15",
    ".succeed > .box": "fill:#10301f;stroke:#4ade80",
    ".fail > .box": "fill:#3b1519;stroke:#f87171",
    ".running > .box": "fill:#172f5c;stroke:#60a5fa",
    ".succeeded > .box": "fill:#12391f;stroke:#4ade80",
    ".caught > .box": "fill:#452f0a;stroke:#fbbf24",
    ".failed > .box": "fill:#4c171b;stroke:#f87171",
    ".aborted > .box": "fill:#2b3340;stroke:#9ca3af",
    ".way, .ring": "stroke:#94a3b8",
    ".catch": "stroke:#f87171",
    ".head, .dot": "fill:#94a3b8",
    ".label": "fill:#0f172a;stroke:#334155",
    ".name": "fill:#f1f5f9",
    ".small": "fill:#cbd5e1",
}


def _rules(styles: dict[str, str]) -> str:
    return "".join(f"{selector}{{{style}}}" for selector, style in styles.items())


STYLE: Final = (
    "text{font-family:Inter,'Helvetica Neue',Arial,'Noto Sans','DejaVu Sans',sans-serif;"
    f"unicode-bidi:plaintext}}{_rules(_LIGHT)}"
    f"@media (prefers-color-scheme:dark){{{_rules(_DARK)}}}"
)
