"""The contract as tests need it: schemas, channels, and the judge of records."""
