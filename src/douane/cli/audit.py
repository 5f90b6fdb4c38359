"""`douane audit`: what was done, and the proof that nothing of it was changed."""

import asyncio
import json
import sys
from typing import Annotated, Any

import msgspec
import typer

from ..audit.entry import Admin, Denied, Epoch, Intent, Leaf, Outcome
from ..audit.read import Entry, entries, follow, last_index
from ..audit.verify import Report, verify
from ..config.evidence import Evidence, NoEvidence, evidence
from .faults import Fault
from .options import AsJson
from .place import paths

__all__ = ["app"]

app = typer.Typer(help="Read the audit log, and verify it.", no_args_is_help=True)


@app.command("tail")
def tail(
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the newest entries.")] = 20,
    go_on: Annotated[bool, typer.Option("--follow", "-f", help="Show new ones as they come, until Ctrl-C.")] = False,
    call: Annotated[str | None, typer.Option(help="Only entries of this call.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Show the newest entries: who, what, decided how, with which end. Works beside a running gateway."""
    try:
        with evidence(paths()) as log:
            first = max(0, last_index(log.reading) + 1 - lines) if call is None else 0
            shown = last_index(log.reading)
            for entry in entries(log.reading, first):
                _show(entry, log, call, as_json)
                shown = entry.index
            if go_on:
                asyncio.run(_follow(log, shown + 1, call, as_json))
    except NoEvidence as exc:
        raise Fault(5, str(exc)) from None
    except KeyboardInterrupt:
        return


async def _follow(log: Evidence, first: int, call: str | None, as_json: bool) -> None:
    async for entry in follow(log.reading, first):
        _show(entry, log, call, as_json)


def _show(entry: Entry, log: Evidence, call: str | None, as_json: bool) -> None:
    leaf = entry.leaf
    if call is not None and getattr(leaf, "call", None) != call:
        return
    if as_json:
        typer.echo(json.dumps(_document(entry, log), ensure_ascii=False))
    else:
        typer.echo(f"{entry.index:>8}  {_line(leaf, entry, log)}")


def _document(entry: Entry, log: Evidence) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.json.decode(entry.raw) if entry.leaf is not None else {"damaged": True}
    document: dict[str, Any] = {"index": entry.index, **said}
    actor = said.get("actor")
    if isinstance(actor, str) and actor:
        document["subject"] = log.reading.subject(actor)
    if entry.payload:
        document["payload"] = msgspec.json.decode(entry.payload)
    return document


def _line(leaf: Leaf | None, entry: Entry, log: Evidence) -> str:
    match leaf:
        case Intent():
            who = log.reading.subject(leaf.actor) or leaf.actor[:12]
            body = _short(entry.payload)
            what = f"{leaf.method} {leaf.server}/{leaf.tool}{_by_way_of(leaf.endpoint)}"
            return f"{leaf.t}  intent   {leaf.call[-8:]}  {who} {what} [{leaf.rule}] {body}"
        case Outcome():
            what = f" {leaf.method}" + (f" {leaf.server}/{leaf.tool}" if leaf.server else "") if leaf.method else ""
            what += _by_way_of(leaf.endpoint)
            why = f" by {leaf.stage} [{leaf.rule}]" if leaf.status == "refused" else ""
            code = f" ({leaf.code})" if leaf.code else ""
            status = f"{leaf.status} {leaf.cause}".rstrip()
            return f"{leaf.t}  outcome  {leaf.call[-8:]}  {status}{code}{why}{what} {leaf.took_us / 1000:.1f} ms"
        case Denied():
            who = (log.reading.subject(leaf.actor) or leaf.actor[:12]) + " " if leaf.actor else ""
            code = f" ({leaf.code})" if leaf.code else ""
            return f"{leaf.t}  denied   {who}{leaf.door}{_by_way_of(leaf.endpoint)}: {leaf.reason}{code}"
        case Admin():
            who = log.reading.subject(leaf.actor) or leaf.actor[:12]
            review = f" in review {leaf.review}" if leaf.review else ""
            return f"{leaf.t}  admin    {who}: {leaf.act} {leaf.of}{review} {_short(entry.payload)}"
        case Epoch():
            closed = f", {leaf.closed} open calls closed as unknown" if leaf.closed else ""
            return f"{leaf.t}  epoch    {leaf.note} at {leaf.size}{closed}"
        case None:
            return "an entry this version cannot read"


def _by_way_of(endpoint: str) -> str:
    return f" at {endpoint}" if endpoint else ""


def _short(payload: bytes | None) -> str:
    text = (payload or b"").decode("utf-8", "replace")
    text = "".join(c if c.isprintable() else "·" for c in text)
    return text if len(text) <= 120 else text[:119] + "…"


@app.command("verify")
def verify_(
    key: Annotated[
        str | None, typer.Option("--key", help="The log's public key, from where you keep it; else this machine's.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check every entry, the tree, and every signed checkpoint. Names the first bad entry; exit code 1 then."""
    try:
        with evidence(paths()) as log:
            report = _verified(log, key or log.vkey)
    except NoEvidence as exc:
        raise Fault(5, str(exc)) from None
    found = report.finding
    if as_json:
        bad = None if found is None else {"index": found.index, "row": found.row, "reason": found.reason}
        document = {"ok": found is None, "leaves": report.leaves, "root": report.root.hex(), "first_bad": bad}
        typer.echo(json.dumps({**document, "checkpoints": report.checkpoints, "key": key or log.vkey}))
    elif found is None:
        signed = f"{report.checkpoints} checkpoints, signed" if key or log.vkey else "no key: signatures not checked"
        typer.echo(f"ok: {report.leaves} entries, {signed}, root {report.root.hex()}")
    else:
        typer.echo(f"BROKEN at entry {found.index}: {found.reason}")
    if found is not None:
        raise typer.Exit(1)


def _verified(log: Evidence, vkey: str | None) -> Report:
    shows = sys.stderr.isatty()
    for step in verify(log.reading, origin=log.origin, vkey=vkey, mark=log.mark, live=True):
        if isinstance(step, Report):
            return step
        if shows:
            print(f"\r{step.leaves} entries…", end="", file=sys.stderr, flush=True)
    raise AssertionError("verify ends with a report")
