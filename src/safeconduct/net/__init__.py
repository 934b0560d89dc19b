"""Fetching from strangers: bounded in size and time, to allowed addresses only, never led elsewhere."""
