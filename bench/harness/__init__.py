"""The parts of the benchmark: what is served, by whom, on which core, and how it is counted."""
