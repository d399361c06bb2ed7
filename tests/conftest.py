"""What all tests share."""

from hypothesis import settings

# The same examples in each run: a new failure is then caused by a change, and the suite takes the same time.
settings.register_profile("slipway", derandomize=True, deadline=None, max_examples=200, database=None)
settings.load_profile("slipway")
