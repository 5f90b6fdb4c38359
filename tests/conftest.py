"""What all tests share: hypothesis looks for the same examples everywhere, and never at the clock."""

from hypothesis import settings

settings.register_profile("douane", deadline=None, derandomize=True)
settings.load_profile("douane")
