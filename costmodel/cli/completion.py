"""Shell completion of networks and platforms."""

from __future__ import annotations

from glob import escape, glob

_FILES = (".json", ".onnx", ".param")


def complete_network(incomplete: str) -> list[str]:
    """Return the networks, their parameters after "?", and the files with this beginning.

    Examples
    --------
    >>> complete_network("shufflenet_v2?wi")
    ['shufflenet_v2?width=']
    """
    from costmodel.zoo import NETWORKS
    from costmodel.zoo.parameters import accepted

    name, question, query = incomplete.partition("?")
    if question and name in NETWORKS:
        done, _, last = query.rpartition("&")
        before = f"{name}?{done}&" if done else f"{name}?"
        return [f"{before}{key}=" for key in accepted(NETWORKS[name]) if key.startswith(last)]
    found = [name for name in NETWORKS if name.startswith(incomplete)]
    return found + _files(incomplete, _FILES)


def complete_platform(incomplete: str) -> list[str]:
    """Return the hardware with this beginning and, after a slash, its runtimes.

    Examples
    --------
    >>> complete_platform("gtx-1080-t"), complete_platform("gtx-1080-ti/pap")
    (['gtx-1080-ti/'], ['gtx-1080-ti/paper'])
    """
    from costmodel.hardware import hardware_names
    from costmodel.runtimes import runtime_names

    hardware, slash, runtime = incomplete.partition("/")
    if slash and hardware in (*hardware_names(), "host"):
        return [f"{hardware}/{name}" for name in runtime_names() if name.startswith(runtime)]
    found = [f"{name}/" for name in (*hardware_names(), "host") if name.startswith(incomplete)]
    return found + _files(incomplete, (".toml",))


def complete_thing(incomplete: str) -> list[str]:
    """Return the hardware, runtimes and platforms with this beginning.

    Examples
    --------
    >>> complete_thing("raspberry-pi-4"), complete_thing("ncn")
    (['raspberry-pi-4', 'raspberry-pi-4/'], ['ncnn'])
    """
    from costmodel.runtimes import runtime_names

    known = complete_platform(incomplete)
    devices = [name.removesuffix("/") for name in known if name.endswith("/")]
    runtimes = [name for name in runtime_names() if name.startswith(incomplete)]
    return devices + runtimes + known


def _files(incomplete: str, endings: tuple[str, ...]) -> list[str]:
    if not incomplete:
        return []
    return sorted(path for path in glob(f"{escape(incomplete)}*") if path.endswith(endings))
