"""What is told of a map of powers: shares and quantiles over its places, by plain NumPy."""

import zipfile
from pathlib import Path

import numpy as np
import xarray

import engine
from scenarios.multipath.map import powers_over_the_area

ARCHIVE = Path(__file__).parent / "golden/multipath-map-2.zip"


def golden(folder: Path) -> xarray.Dataset:
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder / "x.zarr")
    return engine.open_results(folder / "x.zarr").load()


def test_shares_and_quantiles_over_the_places(tmp_path: Path) -> None:
    """Made-up powers at all 400 places of a lattice, a quarter of which no path reaches; places beyond it repeat."""
    few = golden(tmp_path)
    places = 0
    for text in powers_over_the_area(few)[0].rows[0][1].split(" of "):
        places = int(text)
    random = np.random.default_rng(0)
    power = random.normal(-70.0, 9.0, places + 50)
    power[: places // 4] = np.nan
    power[places:] = 99.0
    known = np.ones(places + 50, bool)
    known[places - 7 : places] = False
    results = xarray.Dataset({"power_dbm": ("realization", power), "complete": ("realization", known)}, attrs=few.attrs)
    (table,) = powers_over_the_area(results)
    told = dict(table.rows)
    kept = power[: places - 7]
    reached = np.sort(kept[~np.isnan(kept)])
    assert told["places"] == f"{places - 7} of {places}"
    assert told["in a building, or reached by no path"] == f"{(places // 4) / (places - 7):.1%}"
    assert told["50% of the others below"] == f"{np.median(reached):.1f} dBm"
    assert told["strongest"] == f"{reached[-1]:.1f} dBm"
    low = reached[: int(0.05 * (len(reached) - 1)) + 2].max()
    assert float(told["5% of the others below"].removesuffix(" dBm")) <= low + 0.05


def test_nothing_is_made_up_of_nothing(tmp_path: Path) -> None:
    few = golden(tmp_path)
    none = few.assign(complete=few.complete & False)
    assert len(powers_over_the_area(none)[0].rows) == 1
    unreached = few.assign(power_dbm=few.power_dbm * np.nan)
    assert dict(powers_over_the_area(unreached)[0].rows)["in a building, or reached by no path"] == "100.0%"
