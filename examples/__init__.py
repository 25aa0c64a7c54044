"""Examples that the documents show and the tests run."""
