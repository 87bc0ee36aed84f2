"""The rules, written a second time: bytes to records, records to numbers."""
