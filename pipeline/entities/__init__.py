"""Which records of which sources are one model: names taken apart, linked, and given lasting ids."""
