"""What there is to call: servers, their definitions and digests."""
