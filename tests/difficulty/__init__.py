"""Tests of the difficulty scorer."""
