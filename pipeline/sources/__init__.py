"""Public listings turned into core tables: one file a source, found by scanning, never registered."""
