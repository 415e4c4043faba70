"""Measurements, the fit of a platform to them, and the choice of further measurements."""

from costmodel.calibration.choice import calibrate as calibrate
from costmodel.calibration.fit import Calibration as Calibration
from costmodel.calibration.measurement import Measurement as Measurement
from costmodel.calibration.measurement import read_measurements as read_measurements
