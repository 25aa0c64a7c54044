"""The commands of `recsim-env`, by what they are for. What a command runs is imported when it is run."""
