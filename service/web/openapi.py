"""The OpenAPI 3.1 document. Its schemas come from the types that the API encodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from service import __version__
from service.web import responses as answers
from service.web.parameters import MAX_CHOSEN, MAX_ID_BYTES, MAX_PLACES

_REF: Final = "#/components/schemas/{name}"
_TYPES: Final = (
    answers.Account,
    answers.Windows,
    answers.Top,
    answers.Service,
    answers.Problem,
)
_WRONG: Final = {
    "400": "The request is not valid; `detail` says why.",
    "401": "A bearer token is required.",
    "403": "The request came from a page of another site, or used a host name that is not allowed.",
    "404": "There is no such account or resource.",
    "429": "Too many requests.",
    "503": "The answer is not available at the moment; try again after Retry-After.",
}


def document(grains: Sequence[str], ranked: Sequence[str]) -> dict[str, Any]:
    """Build the document. `ranked`: the grains that have leaderboards."""
    _, schemas = msgspec.json.schema_components(_TYPES, ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Net followers",
            "version": __version__,
            "summary": "Followers that accounts gain and lose, live, from any worker.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": _paths(grains, ranked),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Required only if NETFOLLOWERS_API_TOKEN_FILE is set.",
                }
            },
        },
        "security": [{}, {"token": []}],
    }


def _paths(grains: Sequence[str], ranked: Sequence[str]) -> dict[str, Any]:
    account = _parameter(
        "id",
        "path",
        {"type": "string", "minLength": 1, "maxLength": MAX_ID_BYTES},
        f"Account id, percent encoded; at most {MAX_ID_BYTES} bytes of UTF-8.",
    )
    account["example"] = "acct-1"
    grain = _parameter("grain", "query", _names(grains), "Length of the windows.")
    board = _parameter("grain", "query", _names(ranked), "Window length of the leaderboard.")
    return {
        "/api/accounts/{id}": _get(
            "account", "One account: totals, followers, kept windows.", [account], "Account"
        ),
        "/api/accounts/{id}/windows": _get(
            "windows", "Kept windows of one grain, oldest first.", [account, grain], "Windows"
        ),
        "/api/top": _get(
            "top",
            "Accounts that gain and lose most: exact over all shards, equal values by account id.",
            [
                board,
                _parameter(
                    "by",
                    "query",
                    {"enum": list(answers.RANKINGS), "default": "net"},
                    "net: gainers and losers; growth: growing and shrinking (with a baseline).",
                ),
                _parameter(
                    "n",
                    "query",
                    {"type": "integer", "minimum": 1, "maximum": MAX_PLACES, "default": 10},
                    "Number of places in each ranking.",
                ),
                _parameter(
                    "trail",
                    "query",
                    {"type": "string", "enum": list(grains)},
                    "Add the kept windows of this grain to each place.",
                ),
            ],
            "Top",
        ),
        "/api/service": _get("service", "Shards, owners, lag, outcomes, settings.", [], "Service"),
        "/api/stream": _stream(board),
        "/api/openapi.json": {
            "get": {
                "operationId": "openapi",
                "summary": "This document.",
                "responses": {
                    "200": {
                        "description": "OpenAPI 3.1.",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    },
                    **_wrong("401", "403", "429", "503"),
                },
            }
        },
    }


def _stream(board: dict[str, Any]) -> dict[str, Any]:
    chosen = _parameter(
        "account",
        "query",
        {
            "type": "array",
            "maxItems": MAX_CHOSEN,
            "items": {"type": "string", "minLength": 1, "maxLength": MAX_ID_BYTES},
        },
        "Account id to follow; repeat it for more accounts.",
    )
    resume = _parameter(
        "Last-Event-ID", "header", {"type": "string"}, "Resume after the event with this id."
    )
    return {
        "get": {
            "operationId": "stream",
            "summary": "Server-sent events named `account`, `top`, `service` and `problem`.",
            "parameters": [chosen, board, resume],
            "responses": {
                "200": {
                    "description": "Each event contains the answer of the same name, as JSON.",
                    "content": {"text/event-stream": {"schema": {"type": "string"}}},
                },
                **_wrong("400", "401", "403", "429", "503"),
            },
        }
    }


def _names(names: Sequence[str]) -> dict[str, Any]:
    """Describe a parameter for a grain; the first is the default.

    Without grains no value is valid.
    """
    found: dict[str, Any] = {"type": "string", "enum": list(names) or ["none"]}
    return {**found, "default": names[0]} if names else found


def _get(name: str, summary: str, parameters: list[Any], schema: str) -> dict[str, Any]:
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "parameters": parameters,
            "responses": {
                "200": {
                    "description": "The answer.",
                    "content": {"application/json": {"schema": {"$ref": _REF.format(name=schema)}}},
                },
                **_wrong(*_WRONG),
            },
        }
    }


def _wrong(*statuses: str) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}}
    return {status: {"description": _WRONG[status], "content": problem} for status in statuses}


def _parameter(name: str, place: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": schema,
        "description": description,
    }
