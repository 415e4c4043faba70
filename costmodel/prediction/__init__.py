"""Predicted latencies of one network, and of many at once."""

from costmodel.prediction.prediction import LABEL as LABEL
from costmodel.prediction.prediction import KernelTime as KernelTime
from costmodel.prediction.prediction import Prediction as Prediction
