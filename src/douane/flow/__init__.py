"""A call in flight: the chain it passes, and the rounds it may take. No I/O."""
