"""Choose the layer profile that an image is cut by; pure."""

from collections.abc import Sequence

from app.builder.images.layering.names import unversioned
from app.builder.images.layering.profile import LayerProfile
from app.builder.nix.closure import Closure


class LayerProfiles:
    """The profiles of a server; all of them decide its images.

    ``share`` is the part of an image's paths that a profile must know in order to be chosen.
    """

    __slots__ = ("_profiles", "_share")

    def __init__(self, profiles: Sequence[LayerProfile], *, share: float) -> None:
        self._profiles = tuple(profiles)
        self._share = share

    @classmethod
    def only(cls, profile: LayerProfile) -> "LayerProfiles":
        """Use one profile for all images, also those with packages that it does not know."""
        return cls([profile], share=0)

    @classmethod
    def shipped(cls, profiles: Sequence[LayerProfile]) -> "LayerProfiles":
        """Profiles of different package sets, each for images of its own set."""
        return cls(profiles, share=0.5)

    @property
    def identities(self) -> list[str]:
        return [str(profile.identity) for profile in self._profiles]

    @property
    def names(self) -> int:
        """The number of package names in all profiles."""
        return sum(len(profile.entries) for profile in self._profiles)

    def choose(self, closure: Closure) -> LayerProfile | None:
        """Return the profile that knows most of the closure's paths; of equal ones, the first.

        The choice depends on the closure alone, whatever the source of its packages is called.
        """
        names = [unversioned(path.name) for path in closure.paths]
        known = [sum(name in profile.entries for name in names) for profile in self._profiles]
        best = max(known, default=0)
        if not self._profiles or best < self._share * len(names):
            return None
        return self._profiles[known.index(best)]


NO_PROFILES = LayerProfiles([], share=0)
