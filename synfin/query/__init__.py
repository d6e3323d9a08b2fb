"""Questions to stored records: a display filter or SQL over the files that a sink wrote, answered by DuckDB."""
