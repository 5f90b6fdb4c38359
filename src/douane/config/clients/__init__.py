"""Other clients' configuration: read into ours, and entries for ours written into theirs."""
