"""What came of an experiment, as one page that works offline."""
