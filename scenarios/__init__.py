"""The built-in worlds, one file each; `presets/` holds the same worlds with other parameters."""
