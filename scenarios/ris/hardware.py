"""What the surface and the users' oscillators really do, beside what estimators are told of it.

All of it is exact by default: then beams are told, and applied, as they were chosen.
"""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from array_api_compat import array_namespace

from engine.numerics.frames import seen_from, turned_about
from engine.numerics.path_information import Paths
from engine.numerics.wavefront import wave

if TYPE_CHECKING:
    from scenarios.ris.scene import Draws, RisScene

Array = Any


class Hardware(NamedTuple):
    """Of B trials with C cycles, L users and N elements."""

    to_base: Array
    """the channel to the base station as it is believed, of unit modulus, (N,)"""
    phase_bits: int = 0
    """bits of each element's phase; 0: any phase"""
    intended: bool = False
    """whether estimators are told the phases before they are rounded"""
    turn: Array | None = None
    """the true channel to the base station over the believed one, of unit modulus, (B, N)"""
    drift: Array | None = None
    """of each user's phase since the first cycle, of unit modulus, (B, C, L)"""

    def told(self, beams: Array) -> Array:
        """What estimators believe the beams (B, C', N) to be that were chosen."""
        return beams if self.intended else self._rounded(beams)

    def applied(self, beams: Array) -> Array:
        """What the beams that were chosen really are."""
        beams = self._rounded(beams)
        return beams if self.turn is None else beams * self.turn[:, None, :]

    def received(self, signal: Array, start: int) -> Array:
        """The signal (B, C', L) of cycles from `start` on, as the users' phases have it."""
        if self.drift is None:
            return signal
        return signal * self.drift[:, start : start + signal.shape[1], :]

    def _rounded(self, beams: Array) -> Array:
        if not self.phase_bits:
            return beams
        xp = array_namespace(beams)
        phases = rounded_phasors(beams * xp.conj(self.to_base), self.phase_bits)
        return phases * self.to_base


def hardware_of(scene: "RisScene", drawn: "Draws", xp: Any) -> Hardware:
    """What a scene's surface and oscillators really do."""
    to_base = scene.cascade().to_base_station(xp)
    turn = drift = None
    if scene.misplaced_m or scene.misturned_rad:
        turn = _from_true_frame(scene, drawn, xp) * xp.conj(to_base)
    if scene.phase_drift_rad:
        steps = scene.phase_drift_rad * drawn.drift
        since = xp.cumulative_sum(steps, axis=1) - steps[:, :1, :]
        drift = xp.cos(since) + 1j * xp.sin(since)
    return Hardware(to_base, scene.phase_bits, scene.phases_told == "intended", turn, drift)


def channels_of(scene: "RisScene", drawn: "Draws", paths: Paths, xp: Any) -> Array:
    """The users' channels (B, L, N) to where the surface really is; paths are from where it is believed."""
    if not (scene.misplaced_m or scene.misturned_rad):
        return scene.cascade().from_users(paths)
    frame = _true_frame(scene, drawn)
    users, scatterers = seen_from(*paths[:3], **frame), seen_from(*paths[4:7], **frame)
    return scene.cascade().from_users(Paths(*users, paths.gain, *scatterers, paths.scatterer_gain))


def _true_frame(scene: "RisScene", drawn: "Draws") -> dict[str, Array]:
    """Where the surface is and how it is turned, as seen from where it is believed: (B, 3) and (B, 3, 3)."""
    return {
        "offset_m": scene.misplaced_m * drawn.misplacement[:, 0, :],
        "axes": turned_about(drawn.misplacement[:, 1, :], scene.misturned_rad),
    }


def _from_true_frame(scene: "RisScene", drawn: "Draws", xp: Any) -> Array:
    """The true channel to the base station, (B, N)."""
    cascade = scene.cascade()
    x, y, z = cascade.base_station_m
    range_m = math.sqrt(x * x + y * y + z * z)
    one = xp.ones((drawn.misplacement.shape[0], 1))
    place = (one / range_m, one * math.acos(z / range_m), one * math.atan2(y, x))
    return wave(cascade.surface, *seen_from(*place, **_true_frame(scene, drawn)))[:, 0, :]


def rounded_phasors(phasors: Array, bits: int) -> Array:
    """The nearest of 2^bits phases, of which 0 is one, of complex numbers."""
    xp = array_namespace(phasors)
    step_rad = 2 * math.pi / 2**bits
    phase_rad = step_rad * xp.round(xp.atan2(xp.imag(phasors), xp.real(phasors)) / step_rad)
    return xp.cos(phase_rad) + 1j * xp.sin(phase_rad)
