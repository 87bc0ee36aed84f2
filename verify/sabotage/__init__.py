"""Every planted bug of engine, shard and rebuild, and whether it is caught."""
