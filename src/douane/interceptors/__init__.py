"""What a call passes, one file or folder each: `make(...)` gives a Gate or a Wrap. They never import one another."""
