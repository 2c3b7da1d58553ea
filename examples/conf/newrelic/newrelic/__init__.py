"""A stand-in for the agent, so that the example needs no account."""
