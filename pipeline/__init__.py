"""Turns public listings of language models into published tables. Knows nothing of serving."""
