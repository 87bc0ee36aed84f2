"""The JSON API on the worker's web port: any worker answers for any account.

    routes -> cluster -> local (our own shards), or peers (the worker that owns the partition)

`local` reads shards and never waits; `cluster` knows who owns which partition and merges. Nothing
here decides a result, and nothing is scanned: rows are looked up, boards are kept by the engine.
"""

from __future__ import annotations

from service.web.routes import Api

__all__ = ["Api"]
