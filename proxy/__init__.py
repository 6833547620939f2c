"""Routes chat calls by published rankings. Never computes one, and never imports the pipeline."""
