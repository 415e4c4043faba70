"""Which GPU this is: the name that its driver gives it against the ``probe`` keys of the files."""

from __future__ import annotations

from costmodel.hardware import hardware_names, load_hardware

_MAKER = "NVIDIA "  # drivers before 470 leave it out


def find_gpu(reported: str) -> str | None:
    """Return the name of the hardware file of a GPU; None if none has exactly this name.

    Parameters
    ----------
    reported : str
        What the driver calls the GPU, such as ``torch.cuda.get_device_name()``. A part of another
        GPU (``"... MIG 1g.5gb"``) and another size of memory have names of their own.

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
