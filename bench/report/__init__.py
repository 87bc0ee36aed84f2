"""What becomes of a run: tables, pictures, pages."""
