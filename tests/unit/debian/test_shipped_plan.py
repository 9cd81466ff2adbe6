"""The layer plan of the embedded package set is up to date."""

import json

from app.builder.images.layering.names import unversioned
from app.builder.images.layering.profile import parse_profile
from app.builder.images.profile_loading import shipped_profiles
from app.settings.expressions import EMBEDDED_PACKAGES, PLANS

PLAN = PLANS / "debian.json"
REMEDY = "make it again: docs/releasing.md"


def test_the_plan_is_in_canonical_form_and_loaded_as_shipped() -> None:
    plan = parse_profile(PLAN.read_bytes())

    assert plan.to_json() == PLAN.read_bytes()
    assert str(plan.identity) in shipped_profiles(PLANS).identities


def test_the_plan_knows_the_packages_of_the_committed_locks() -> None:
    known = parse_profile(PLAN.read_bytes()).entries.keys()
    for lock in sorted((EMBEDDED_PACKAGES / "locks").glob("*.json")):
        units = json.loads(lock.read_bytes())["units"]
        names = {unversioned(f"{name}-{unit['version']}") for name, unit in units.items()}

        assert len(names & known) >= 0.9 * len(names), f"{sorted(names - known)}: {REMEDY}"
