"""The pages that people see: HTML from templates that escape whatever is put into them, and no script but for passkeys.

No page may be framed, loads anything, or names where its reader came from.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..exchange import HttpResponse

__all__ = ["Look"]

_HERE = Path(__file__).parent / "templates"
_SECURITY = (
    ("content-type", "text/html; charset=utf-8"),
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    # Not `no-referrer`: with that a browser sends `Origin: null` with our own forms.
    ("referrer-policy", "same-origin"),
)


class Look:
    def __init__(self) -> None:
        self._style = style = (_HERE / "style.css").read_text(encoding="utf-8")
        self._environment = Environment(
            loader=FileSystemLoader(_HERE),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._script = (_HERE / "passkey.js").read_text(encoding="utf-8")
        self._policy = f"default-src 'none'; style-src {_source(style)}; base-uri 'none'; frame-ancestors 'none'"

    def page(
        self,
        status: int,
        template: str,
        *,
        leads_to: str = "",
        script: bool = False,
        cookie: str | None = None,
        **content: Any,
    ) -> HttpResponse:
        """`leads_to`: sources, as in a Content-Security-Policy, that a form of this page may end at. `script`: of passkeys."""
        html = self._environment.get_template(f"{template}.html").render(
            content, style=self._style, script=self._script if script else ""
        )
        running = f"; script-src {_source(self._script)}" if script else ""
        policy = f"{self._policy}{running}; form-action 'self' {leads_to}".rstrip()
        headers = [*_SECURITY, ("content-security-policy", policy)]
        return HttpResponse(status, [*headers, *([("set-cookie", cookie)] if cookie else [])], html.encode())

    def refused(self, status: int, title: str, reason: str, remedy: str) -> HttpResponse:
        """A page that leads nowhere."""
        return self.page(status, "refused", title=title, reason=reason, remedy=remedy)


def _source(text: str) -> str:
    """As a Content-Security-Policy names what stands in the page itself."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
