"""Loads the fixtures of the test control plane for every test beneath this folder.

Loading starts nothing: a control plane comes up when the first test asks for one. Property tests are never timed: a
loaded machine must not fail a law.
"""

from hypothesis import settings

pytest_plugins = ["tests.cluster.fixtures"]

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
