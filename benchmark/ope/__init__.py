"""Off-policy evaluation: what a policy would earn, told from logs of another one's slates."""
