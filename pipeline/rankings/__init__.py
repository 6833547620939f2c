"""How good, how fast and how dear every callable model is, and the order that follows for each profile."""
