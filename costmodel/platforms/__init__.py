"""Platforms: hardware + runtime (+ calibration), and the machine that the time formulas see."""

from costmodel.platforms.platform import Platform as Platform
from costmodel.platforms.platform import calibration_file as calibration_file
from costmodel.platforms.platform import calibration_folder as calibration_folder
from costmodel.platforms.platform import find_calibration as find_calibration
from costmodel.platforms.platform import load_platform as load_platform
from costmodel.platforms.platform import platform_names as platform_names
