"""What goes wrong with measurements, one fault at a time, and whether an answer says so."""

import math
from collections.abc import Callable

import numpy as np
from campaigns import Campaign, heard

from engine import InputError
from scenarios.leakage.answer import answer

DISPLACED_RAD = math.radians(20)


def _gain(db: float) -> Callable[[Campaign, np.random.Generator], Campaign]:
    def changed(campaign: Campaign, random: np.random.Generator) -> Campaign:
        measured = heard(campaign.scene, random, campaign.user, campaign.measured, gain_db=db)
        return campaign._replace(measured=measured)

    return changed


def _scaled(**factors: float) -> Callable[[Campaign, np.random.Generator], Campaign]:
    def changed(campaign: Campaign, _: np.random.Generator) -> Campaign:
        new = {name: getattr(campaign.measured, name) * factor for name, factor in factors.items()}
        return campaign._replace(measured=campaign.measured._replace(**new))

    return changed


def _shadowed(campaign: Campaign, random: np.random.Generator) -> Campaign:
    gain_db = 4.0 * random.standard_normal(len(campaign.measured.power_w))
    return campaign._replace(measured=heard(campaign.scene, random, campaign.user, campaign.measured, gain_db))


def _nobody(campaign: Campaign, random: np.random.Generator) -> Campaign:
    measured = heard(campaign.scene, random, campaign.user, campaign.measured, gain_db=-300.0)
    return campaign._replace(measured=measured)


def _all_turned(campaign: Campaign, random: np.random.Generator) -> Campaign:
    turned = campaign.measured.angle_rad + DISPLACED_RAD * random.choice([-1, 1])
    return campaign._replace(measured=campaign.measured._replace(angle_rad=turned))


def _each_turned(campaign: Campaign, random: np.random.Generator) -> Campaign:
    angle_rad = campaign.measured.angle_rad
    turned = angle_rad + DISPLACED_RAD * random.choice([-1, 1], len(angle_rad))
    return campaign._replace(measured=campaign.measured._replace(angle_rad=turned))


def _carrier(factor: float) -> Callable[[Campaign, np.random.Generator], Campaign]:
    def changed(campaign: Campaign, _: np.random.Generator) -> Campaign:
        return campaign._replace(scene=campaign.scene.replace(carrier_hz=campaign.scene.carrier_hz * factor))

    return changed


FAULTS: dict[str, Callable[[Campaign, np.random.Generator], Campaign]] = {
    "gain_high": _gain(6.0),
    "gain_low": _gain(-6.0),
    "shadowing": _shadowed,
    "nobody": _nobody,
    "milliwatts_as_watts": _scaled(power_w=1e3),
    "watts_as_milliwatts": _scaled(power_w=1e-3),
    "kilometres_as_metres": _scaled(range_m=1e-3),
    "radians_as_degrees": _scaled(angle_rad=math.pi / 180),
    "all_turned": _all_turned,
    "each_turned": _each_turned,
    "carrier_tenth_high": _carrier(1.1),
    "carrier_tenth_low": _carrier(0.9),
    "carrier_double": _carrier(2.0),
    "carrier_half": _carrier(0.5),
}


def raised(campaign: Campaign, draws: int = 999) -> bool:
    """Whether the user is told that something is wrong, or the file is refused."""
    try:
        found = answer(campaign.measured, campaign.scene, draws=draws, explain=False)
    except InputError:
        return True
    told = {"below_noise", "mean_below_noise", "dead", "other_model_fits"}
    return not found.holds or bool({remark.code for remark in found.remarks} & told)
