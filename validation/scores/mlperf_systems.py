"""The systems of MLPerf's tables as platforms: which board, which engine, how many threads.

The files of systems name board and engine, not the threads. Two submitters:

- Krai ran TFLite with a thread for each big core. ArmNN hands the number of threads over to the Arm
  Compute Library, which takes as many as the rarest kind of core in ``/proc/cpuinfo`` has cores
  (``num_threads_hint`` in its ``src/common/cpuinfo/CpuInfo.cpp``): two on an S922X, whose two
  Cortex-A53 are the rarer, four on a RK3588S; and it pins none of them.
- cTuning ran TFLite with XNNPACK and set no threads, hence one: MobileNet v1 takes 86.5 ms on the
  Cortex-A72 of a Graviton, 72 % of the peak of a single core.
"""

from __future__ import annotations

# Beginning of a system's name: device, cores that TFLite takes, threads of ArmNN.
_BOARDS = {
    "rpi4": ("raspberry-pi-4", 4, 4),
    "firefly": ("rk3588", 4, 4),
    "odroid": ("odroid-n2", 4, 2),
    "xavier": ("jetson-xavier", 8, 8),
    "aws_a1.2xlarge": ("graviton1", 1, 8),
    "aws_c5.4xlarge": ("xeon-platinum-8275cl", 1, 1),
    "aws_t2.medium": ("xeon-e5-2686-v4", 1, 1),
    "amd_zen4_workstation": ("ryzen-9-7950x", 1, 1),
}
# Words in a system's name: runtime. The first that is found holds.
_ENGINES = {"edgetpu": "", "armnn": "armnn", "ruy": "tflite-ruy", "vmaster": "tflite"}


def platform_of(system: str) -> str:
    """Return the platform of a system, ``""`` where none runs its engine.

    Examples
    --------
    >>> platform_of("odroid-armnn-v22.05-neon")
    'odroid-n2/armnn?threads=2'
    >>> platform_of("rpi4coral-tflite-for.coral-edgetpu")
    ''
    """
    board = next((b for name, b in _BOARDS.items() if system.startswith(name)), None)
    runtime = next((r for word, r in _ENGINES.items() if word in system), "")
    if board is None or not runtime:
        return ""
    device, cores, hint = board
    threads = hint if runtime == "armnn" else cores
    return f"{device}/{runtime}" + (f"?threads={threads}" if threads > 1 else "")


def short(system: str) -> str:
    """Return the board, engine and version of a system.

    Examples
    --------
    >>> short("rpi4coral-fan.on-tflite-v2.4.1-ruy")
    'raspberry-pi-4 tflite-ruy-v2.4.1'
    >>> short("aws_a1.2xlarge-tflite_cpp-cpu-armnn_tflite-v22.11-default_config")
    'graviton1 armnn-v22.11'
    """
    platform = platform_of(system)
    board, _, rest = platform.partition("/")
    version = next(p for p in system.split("-") if p[:1] == "v" and p[1:2].isalnum())
    return f"{board} {rest.partition('?')[0]}-{version}"
