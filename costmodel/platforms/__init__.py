"""Platforms: hardware + runtime (+ calibration), and the machine that the time formulas see."""

from costmodel.platforms.calibrations import calibration_file as calibration_file
from costmodel.platforms.calibrations import calibration_folder as calibration_folder
from costmodel.platforms.calibrations import find_calibration as find_calibration
from costmodel.platforms.calibrations import platform_names as platform_names
from costmodel.platforms.platform import Platform as Platform
from costmodel.platforms.platform import load_platform as load_platform
