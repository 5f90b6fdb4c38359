"""What the gateway costs, beside its peers: `make bench`."""
