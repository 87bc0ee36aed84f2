"""The contract as tests need it: schemas, channels, and who judges records."""
