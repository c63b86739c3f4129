"""The OpenAPI description: errors are problem+json everywhere, the key is declared, nothing is said that is not so."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from recsys_lab.serving.schemas import ProblemOut

KEY = {"type": "apiKey", "in": "header", "name": "X-API-Key"}


def describe(app: FastAPI) -> None:
    """Let ``app.openapi`` return our description, made when it is first asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _description(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _description(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(title=app.title, version=app.version, routes=app.routes)
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    problem = TypeAdapter(ProblemOut).json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {})
    schemas["ProblemOut"] = problem
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    made["components"]["securitySchemes"] = {"key": KEY}
    made["security"] = [{}, {"key": []}]
    for methods in made["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                parameter["schema"] = _without_null(parameter["schema"])
    return made


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """What stands in a query string is never null."""
    kept = [one for one in schema.pop("anyOf", []) if one != {"type": "null"}]
    return schema | (kept[0] if len(kept) == 1 else {"anyOf": kept} if kept else {})


def route_table(app: FastAPI) -> str:
    """The routes as a Markdown table, from the description."""
    lines = ["| route | what | parameters | answers |", "|---|---|---|---|"]
    for path, methods in app.openapi()["paths"].items():
        for method, found in methods.items():
            names = [f"`{one['name']}`" for one in found.get("parameters", []) if one["in"] == "query"]
            if "requestBody" in found:
                names.append("a body")
            statuses = ", ".join(sorted(found["responses"]))
            lines.append(f"| {method.upper()} {path} | {found['description']} | {', '.join(names)} | {statuses} |")
    return "\n".join(lines)
