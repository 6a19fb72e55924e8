"""What all tests share."""

from hypothesis import HealthCheck, settings

# A loaded machine is slow to generate inputs; that says nothing about the code under test. Time-outs are pytest's.
settings.register_profile("default-for-all", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default-for-all")
