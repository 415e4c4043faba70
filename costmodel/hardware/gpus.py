"""Identification of a GPU by its driver's name and the ``probe`` keys of the hardware files."""

from __future__ import annotations

from costmodel.hardware import hardware_names, load_hardware

_MAKER = "NVIDIA "  # drivers before 470 omit it


def find_gpu(reported: str) -> str | None:
    """Return the name of the hardware file of a GPU; None if none has exactly this name.

    Parameters
    ----------
    reported : str
        The driver's name of the GPU, such as ``torch.cuda.get_device_name()``. Part of a GPU
        (``"... MIG 1g.5gb"``) and variants with another memory size have different names.

    Examples
    --------
    >>> find_gpu("NVIDIA GeForce RTX 3090"), find_gpu("NVIDIA GeForce RTX 3090 Ti")
    ('rtx-3090', None)
    """
    wanted = reported.removeprefix(_MAKER)
    for name in hardware_names():
        if any(known.removeprefix(_MAKER) == wanted for known in load_hardware(name).probe):
            return name
    return None
