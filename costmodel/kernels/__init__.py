"""Kernels: what a runtime launches for an op graph."""

from costmodel.kernels.kernel import CLASSES as CLASSES
from costmodel.kernels.kernel import KINDS as KINDS
from costmodel.kernels.kernel import SPECIAL as SPECIAL
from costmodel.kernels.kernel import Kernel as Kernel
from costmodel.kernels.kernel import Product as Product
from costmodel.kernels.kernel import Read as Read
from costmodel.kernels.kernel import kernel_class as kernel_class
from costmodel.kernels.kernel import kernel_kind as kernel_kind
from costmodel.kernels.lowering import lower as lower
