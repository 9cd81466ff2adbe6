"""How many examples hypothesis tries; imported before tests that use it.

How long an example takes depends on what else the machine does.  New examples are for developers,
who can act on them; CI judges a commit by the same ones each time.
"""

import os

from hypothesis import settings

settings.register_profile(
    "any machine",
    deadline=None,
    derandomize="CI" in os.environ,
    max_examples=100 if "CI" in os.environ else 25,
)
settings.load_profile("any machine")
