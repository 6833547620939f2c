"""Remakes `columns.json`: `python -m pipeline.lineage`. To be run after a change of a table's SQL."""

from pipeline.lineage.tables import FILE, text

if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
    print(f"Wrote {FILE}.")
