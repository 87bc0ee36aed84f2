"""The JSON API on the worker's web port. Any worker answers for any account.

    routes -> cluster -> local (the shards of this worker), or peers (the owner of the partition)

`local` reads shards and never waits. `cluster` knows the owner of each partition and merges the
answers. This package decides no result and scans no table. It looks rows up by key, and the engine
keeps the boards.
"""

from __future__ import annotations

from service.web.routes import Api

__all__ = ["Api"]
