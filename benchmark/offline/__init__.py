"""Agents that learn from logs, ranked by what real people rated next."""
