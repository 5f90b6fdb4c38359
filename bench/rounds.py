"""All subjects under all loads, in turn, so that whatever else the machine does is shared out among them."""

import re
import sys
from collections.abc import Sequence

from .calls import Shape
from .goals import LARGE, LIST, MIDDLE, SMALL
from .load import Sample, measure
from .started import HERE, CannotMeasure, Started, Subject

CALL = "tools/call"
SHAPES = {
    "gateways": (
        Shape(SMALL, CALL, 300, 16),
        Shape(SMALL, CALL, 300, 1),
        Shape(SMALL, CALL, 300, 64),
        Shape(MIDDLE, CALL, 2_000, 16),
        Shape(LARGE, CALL, 100_000, 16),
        Shape(LIST, "tools/list", 0, 16),
    ),
    "peers": (Shape(SMALL, CALL, 300, 16), Shape(SMALL, CALL, 300, 64), Shape(LIST, "tools/list", 0, 16)),
    "servers": (Shape(SMALL, CALL, 300, 16), Shape(SMALL, CALL, 300, 1)),
}
Rows = dict[tuple[str, str, int], list[Sample]]
Absent = dict[tuple[str, Shape | None], str]
"""Why a subject was not measured under a load, or not at all."""
_PLACES = re.compile(r"\S+://\S+|(?<![\w.])(?:/[\w.@+-]+){2,}")
"""Addresses, and paths of this machine: the reason is published."""


def rounds(subjects: Sequence[Started], count: int, seconds: int, absent: Absent) -> Rows:
    """Every subject under every load, one after the other, again and again; each round begins with another subject."""
    rows: Rows = {}
    if not subjects:
        return rows
    for subject in subjects:
        taken(subject, SHAPES[subject.subject.group][0], 1, absent)
    for number in range(count):
        for shape in dict.fromkeys(shape for shapes in SHAPES.values() for shape in shapes):
            turn = number % len(subjects)
            for subject in (*subjects[turn:], *subjects[:turn]):
                if shape not in SHAPES[subject.subject.group] or (subject.name, shape) in absent:
                    continue
                sample = taken(subject, shape, seconds, absent)
                if sample is not None:
                    rows.setdefault((subject.name, shape.name, shape.connections), []).append(sample)
                    say(f"{number + 1}/{count} {shape.name:16} {shape.connections:3} {subject.name:16} {told(sample)}")
    gone = {(name, shape.name, shape.connections) for name, shape in absent if shape is not None}
    return {key: samples for key, samples in rows.items() if key not in gone}


def taken(subject: Started, shape: Shape, seconds: int, absent: Absent) -> Sample | None:
    """One sample. A load that a peer fails under is left out from then on; what must not fail raises CannotMeasure."""
    try:
        return measure(subject, shape, seconds * subject.subject.longer)
    except CannotMeasure as exc:
        give_up(subject.subject, shape, exc, absent)
        return None


def give_up(subject: Subject, shape: Shape | None, exc: CannotMeasure, absent: Absent) -> None:
    if subject.needs is None:
        raise exc
    say(f"{subject.name} is not measured: {exc}")
    why = str(exc).partition("\n")[0].rstrip(":").replace(f"{HERE.parent}/", "")
    absent[subject.name, shape] = _PLACES.sub("…", why)[:200]


def told(sample: Sample) -> str:
    return f"{sample.cpu_us:9.1f} us CPU {sample.calls_per_s:9.0f}/s  p50 {sample.p50_ms:7.2f}  p99 {sample.p99_ms:7.2f} ms"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
