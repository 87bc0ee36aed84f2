"""What arrives and what leaves: records, results, schemas. Pure; imports nothing of ours."""
