"""Every agent in four worlds, as one page."""
