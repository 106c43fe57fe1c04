"""How photons of 5 to 150 keV interact with water, air and aluminum: public figures of NIST.

Cross sections: XCOM (Berger et al., NIST SRD 8), water from hydrogen and oxygen.  Mass energy
absorption: Hubbell and Seltzer, NISTIR 5632 (SRD 126).  Form factors and incoherent scattering
functions: Hubbell et al. 1975 (J. Phys. Chem. Ref. Data 4, 471), free atoms.  All in cm²/g and keV;
between energies a cubic spline of logarithms, as none has an absorption edge here.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

LOWEST_KEV, HIGHEST_KEV = 5.0, 150.0
MOMENTUM_PER_KEV = 1.0 / 12.398420
"""x = sin(theta/2) / wavelength in 1/angstrom is sin(theta/2) times this times keV."""
ELECTRON_KEV = 510.99895
R_E2_PER_G = 2.65446e-3
"""Classical electron radius squared times molecules of water in a gram: 7.94079e-26 cm² times
6.02214e23 / 18.0153."""
ELECTRONS = 10.0
"""Of a molecule of water."""

_XCOM = np.array(
    [  # keV, water: coherent, incoherent, photoelectric; aluminum: total with coherent
        [5.0, 5.5785e-01, 1.1233e-01, 4.1922e01, 1.9340e02],
        [6.0, 4.4893e-01, 1.2588e-01, 2.4067e01, 1.1529e02],
        [8.0, 3.1020e-01, 1.4397e-01, 9.9187e00, 5.0320e01],
        [10.0, 2.3053e-01, 1.5503e-01, 4.9443e00, 2.6213e01],
        [12.0, 1.8056e-01, 1.6245e-01, 2.7834e00, 1.5338e01],
        [15.0, 1.3327e-01, 1.6991e-01, 1.3693e00, 7.9551e00],
        [20.0, 8.8563e-02, 1.7736e-01, 5.4390e-01, 3.4418e00],
        [25.0, 6.3008e-02, 1.8118e-01, 2.6402e-01, 1.8355e00],
        [30.0, 4.6937e-02, 1.8288e-01, 1.4575e-01, 1.1282e00],
        [40.0, 2.8742e-02, 1.8274e-01, 5.6797e-02, 5.6843e-01],
        [50.0, 1.9361e-02, 1.8032e-01, 2.7248e-02, 3.6814e-01],
        [60.0, 1.3918e-02, 1.7703e-01, 1.4926e-02, 2.7781e-01],
        [80.0, 8.1645e-03, 1.6972e-01, 5.7699e-03, 2.0177e-01],
        [100.0, 5.3493e-03, 1.6261e-01, 2.7626e-03, 1.7042e-01],
        [120.0, 3.7681e-03, 1.5607e-01, 1.5162e-03, 1.5334e-01],
        [150.0, 2.4419e-03, 1.4735e-01, 7.3076e-04, 1.3785e-01],
    ]
)
_NISTIR_5632 = np.array(
    [  # keV, mass energy absorption of liquid water and of dry air
        [5.0, 4.188e01, 3.931e01],
        [6.0, 2.405e01, 2.270e01],
        [8.0, 9.915e00, 9.446e00],
        [10.0, 4.944e00, 4.742e00],
        [15.0, 1.374e00, 1.334e00],
        [20.0, 5.503e-01, 5.389e-01],
        [30.0, 1.557e-01, 1.537e-01],
        [40.0, 6.947e-02, 6.833e-02],
        [50.0, 4.223e-02, 4.098e-02],
        [60.0, 3.190e-02, 3.041e-02],
        [80.0, 2.597e-02, 2.407e-02],
        [100.0, 2.546e-02, 2.325e-02],
        [150.0, 2.764e-02, 2.496e-02],
    ]
)
_HUBBELL = np.array(
    [  # x in 1/angstrom, form factors of H and O, incoherent scattering functions of H and O
        [0.0, 1.00000, 8.00000, 0.00000, 0.00000],
        [0.01, 0.99779, 7.99120, 0.00441, 0.01100],
        [0.02, 0.99121, 7.96690, 0.01749, 0.04480],
        [0.03, 0.98039, 7.92590, 0.03883, 0.10010],
        [0.05, 0.94694, 7.79740, 0.10331, 0.27100],
        [0.07, 0.89987, 7.61170, 0.19023, 0.51370],
        [0.1, 0.81082, 7.24410, 0.34256, 0.97700],
        [0.15, 0.64130, 6.46980, 0.58873, 1.88500],
        [0.2, 0.48079, 5.61970, 0.76884, 2.79900],
        [0.25, 0.34975, 4.80470, 0.87768, 3.61350],
        [0.3, 0.25127, 4.08580, 0.93686, 4.29300],
        [0.35, 0.18041, 3.48421, 0.96744, 4.83512],
        [0.4, 0.13045, 3.00310, 0.98298, 5.25700],
        [0.5, 0.07060, 2.33510, 0.99502, 5.82800],
        [0.6, 0.04033, 1.94450, 0.99837, 6.17500],
        [0.7, 0.02429, 1.71320, 0.99941, 6.41100],
        [0.8, 0.01534, 1.56670, 0.99976, 6.59600],
        [1.0, 0.00688, 1.37630, 0.99995, 6.90100],
        [1.25, 0.00299, 1.18200, 0.99999, 7.21590],
        [1.5, 0.00149, 0.99610, 1.00000, 7.46200],
        [2.0, 0.00049, 0.67200, 1.00000, 7.76420],
        [2.5, 0.00020, 0.42498, 1.00000, 7.89990],
        [3.0, 0.00010, 0.29564, 1.00000, 7.95700],
        [4.0, 0.00003, 0.14108, 1.00000, 7.99100],
        [5.0, 0.00001, 0.06548, 1.00000, 7.99770],
        [6.0, 0.00001, 0.03575, 1.00000, 7.99930],
        [8.0, 0.00000, 0.01488, 1.00000, 8.00000],
        [10.0, 0.00000, 0.00572, 1.00000, 8.00000],
        [12.5, 0.00000, 0.00243, 1.00000, 8.00000],
    ]
)
_COLUMNS = {
    "coherent": (_XCOM, 1),
    "incoherent": (_XCOM, 2),
    "photoelectric": (_XCOM, 3),
    "aluminum": (_XCOM, 4),
    "mu_en_water": (_NISTIR_5632, 1),
    "mu_en_air": (_NISTIR_5632, 2),
}


def coefficient(name: str, energy_kev: ArrayLike) -> Floats:
    """A mass coefficient in cm²/g, shape of `energy_kev`: a name of `_COLUMNS`.

    ValueError: an energy outside 5 to 150 keV, or NaN.
    """
    e = np.asarray(energy_kev, np.float64)
    if not ((e >= LOWEST_KEV) & (e <= HIGHEST_KEV)).all():
        raise ValueError(f"photons have {LOWEST_KEV:g} to {HIGHEST_KEV:g} keV here")
    return np.asarray(np.exp(_spline(name)(np.log(e))))


def attenuation_of_water(energy_kev: ArrayLike) -> Floats:
    """Coherent, incoherent and photoelectric together, in cm²/g; raises as `coefficient`."""
    return (
        coefficient("coherent", energy_kev)
        + coefficient("incoherent", energy_kev)
        + coefficient("photoelectric", energy_kev)
    )


def form_factor_squared(x: ArrayLike) -> Floats:
    """Of a molecule of water, atoms independent: 2 F_H² + F_O², at x in 1/angstrom, 0 to 12.5."""
    return np.asarray(2.0 * _scattering(1)(x) ** 2 + _scattering(2)(x) ** 2)


def incoherent_scattering(x: ArrayLike) -> Floats:
    """Of a molecule of water: 2 S_H + S_O, at x in 1/angstrom, 0 to 12.5; 10 when all is free."""
    return np.asarray(2.0 * _scattering(3)(x) + _scattering(4)(x))


@lru_cache(maxsize=8)
def _spline(name: str):  # type: ignore[no-untyped-def]  # scipy has no types
    from scipy.interpolate import CubicSpline

    table, column = _COLUMNS[name]
    return CubicSpline(np.log(table[:, 0]), np.log(table[:, column]))


@lru_cache(maxsize=4)
def _scattering(column: int):  # type: ignore[no-untyped-def]  # scipy has no types
    from scipy.interpolate import PchipInterpolator

    return PchipInterpolator(_HUBBELL[:, 0], _HUBBELL[:, column])
