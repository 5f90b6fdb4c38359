"""Servers and clients this project did not write, for the tests that drive them."""
