"""How the pages look: plain, without a script, and nothing of what they show is taken for markup.

No page may be framed, loads anything, or says where its reader came from.
"""

import base64
import hashlib
from collections.abc import Sequence
from html import escape

from ..exchange import HttpResponse

__all__ = ["alert", "button", "form", "hidden", "items", "page", "paragraph", "secret_field"]

_STYLE = """
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 36rem; padding: 2rem 1rem }
h1 { font-size: 1.5rem; line-height: 1.25 }
p { margin: 1rem 0; overflow-wrap: anywhere }
ul { padding-left: 1.25rem }
form { margin: 1.5rem 0 }
label { display: block; font-weight: 600 }
input { box-sizing: border-box; font: inherit; margin: .25rem 0 1rem; padding: .5rem; width: 100% }
button { font: inherit; margin-right: .5rem; padding: .5rem 1.25rem }
"""
_SOURCE = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = (
    ("content-type", "text/html; charset=utf-8"),
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    # With `no-referrer` a browser would send `Origin: null` with our own forms.
    ("referrer-policy", "same-origin"),
)


def page(
    status: int, title: str, *parts: str, leads_to: str = "", cookie: str | None = None, lang: str = "en"
) -> HttpResponse:
    """`parts`: markup, made by the functions below. `leads_to`: sources, as in a Content-Security-Policy, that a form of it
    may end at beside our own."""
    policy = (
        f"default-src 'none'; style-src 'sha256-{_SOURCE}'; base-uri 'none'; frame-ancestors 'none';"
        f" form-action 'self' {leads_to}"
    ).rstrip()
    said = escape(title)
    html = (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>{said}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main><h1>{said}</h1>{''.join(parts)}</main></body></html>"
    )
    headers = [*_HEADERS, ("content-security-policy", policy)]
    return HttpResponse(status, [*headers, *([("set-cookie", cookie)] if cookie else [])], html.encode())


def paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def alert(text: str) -> str:
    return f'<p role="alert">{escape(text)}</p>'


def items(texts: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"


def form(action: str, *parts: str) -> str:
    return f'<form method="post" action="{escape(action)}">{"".join(parts)}</form>'


def hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'


def secret_field(name: str, label: str) -> str:
    return (
        f'<label for="{escape(name)}">{escape(label)}</label>'
        f'<input type="password" id="{escape(name)}" name="{escape(name)}" autocomplete="off" required>'
    )


def button(name: str, value: str, text: str) -> str:
    return f'<button name="{escape(name)}" value="{escape(value)}">{escape(text)}</button>'
