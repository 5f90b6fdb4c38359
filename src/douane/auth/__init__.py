"""Who asks: tokens verified once, cached by digest."""
