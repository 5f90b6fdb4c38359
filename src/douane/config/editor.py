"""The JSON Schema of `douane.yaml`, from the model: what editors complete and underline.

It accepts what `load` accepts. Where a number, a boolean or a choice belongs, a variable may stand too.
"""

import ast
import inspect
from typing import Any

import msgspec

from . import auth_model, authority_model, model
from .shown import NAME

__all__ = ["schema"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE = {"type": "string", "pattern": r"\$\{([A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?|(keyring|vault):[^}]*)\}"}
_MODELS = (model, auth_model, authority_model)
_SCALARS = ("integer", "number", "boolean")


def schema() -> dict[str, Any]:
    """A schema of the 2020-12 dialect."""
    made = msgspec.json.schema(model.Config)
    said = _docstrings()
    for name, struct in made["$defs"].items():
        for key, field in struct["properties"].items():
            struct["properties"][key] = _described(_with_variables(field), said.get(name, {}).get(key))
    top = made["$defs"]["Config"]
    top["required"] = ["upstreams"]
    top["properties"]["upstreams"] |= {"minProperties": 1, "propertyNames": {"pattern": f"^{NAME.pattern}$"}}
    top["properties"]["servers"] |= {"propertyNames": {"pattern": f"^{NAME.pattern}$"}}
    made["$defs"]["ServerConfig"]["required"] = ["select"]
    made["$defs"]["UpstreamConfig"]["oneOf"] = [{"required": ["command"]}, {"required": ["url"]}]
    return {"$schema": _DIALECT, "title": "douane.yaml", **made}


def _with_variables(field: dict[str, Any]) -> dict[str, Any]:
    kinds = [field, *field.get("anyOf", [])]
    if not any(kind.get("type") in _SCALARS or "enum" in kind for kind in kinds):
        return field
    outer = {key: field[key] for key in ("default", "description") if key in field}
    inner = {key: value for key, value in field.items() if key not in outer}
    return {**outer, "anyOf": [*inner.get("anyOf", [inner]), _VARIABLE]}


def _described(field: dict[str, Any], said: str | None) -> dict[str, Any]:
    return field if said is None else {**field, "description": said}


def _docstrings() -> dict[str, dict[str, str]]:
    """What stands below each field in the source of the model, by struct and field."""
    found: dict[str, dict[str, str]] = {}
    for node in (node for each in _MODELS for node in ast.parse(inspect.getsource(each)).body):
        if isinstance(node, ast.ClassDef):
            pairs = zip(node.body, node.body[1:], strict=False)
            found[node.name] = {
                field.target.id.rstrip("_"): inspect.cleandoc(below.value.value)
                for field, below in pairs
                if isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
                and isinstance(below.value.value, str)
            }
            for base in node.bases:
                if isinstance(base, ast.Name) and base.id in found:
                    found[node.name] = found[base.id] | found[node.name]
    return found
