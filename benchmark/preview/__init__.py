"""What users go through with an agent, as one picture."""
