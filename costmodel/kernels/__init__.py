"""Kernels that a runtime launches for an op graph."""

from costmodel.kernels.kernel import Kernel as Kernel
from costmodel.kernels.kernel import Read as Read
from costmodel.kernels.lowering import lower as lower
from costmodel.kinds import KINDS as KINDS
from costmodel.kinds import Kind as Kind
from costmodel.ops.product import Product as Product
