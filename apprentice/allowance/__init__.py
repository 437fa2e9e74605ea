"""A fixed number of remote calls, spent where they do most good: on what teaches early, then on what is unsure."""
