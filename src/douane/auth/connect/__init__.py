"""Pages on which a user grants the gateway access to an upstream, and comes back."""
