"""Runs a network in an engine's Python package on a board, as a server of commands.

This file is sent to the board and run by the Python there, 3.7 or newer: it imports the standard
library, NumPy and the engine's package, nothing else. It reads a command a line, and answers a
line ``@costmodel {JSON}`` to each:

    host                                        the engine, its version, the machine
    pin CORE [CORE ...]                         bind to cores; tells which it is bound to
    network {JSON}                              load a network, run it once, check its outputs
    turn NETWORK repeat=R min=M us=U cold=0     at least M samples and U microseconds of R passes
    layers NETWORK runs=R                       the time of every layer, where the engine tells it
    drop NETWORK                                give its memory back

It ends as soon as standard input closes, whatever it is doing.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import platform
import queue
import resource
import shutil
import struct
import sys
import tempfile
import threading
import time
from typing import Any

MODULES = {
    "ncnn": ("ncnn",),
    "onnxruntime": ("onnxruntime",),
    "tflite": ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite"),
}
MOST_SAMPLES = 4096
MOST_VALUES = 1 << 20  # outputs of more numbers are not sent back
NO_MEMORY, RAN_BADLY, BAD_COMMAND = 5, 3, 2


def load_module(engine: str) -> Any:
    """Return the engine's module; the first of several packages that is installed."""
    for name in MODULES[engine][:-1]:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return importlib.import_module(MODULES[engine][-1])


def version_of(module: Any) -> str:
    """Return the version of the package that a module belongs to."""
    package = sys.modules[module.__name__.split(".")[0]]
    return str(getattr(package, "__version__", "") or getattr(module, "__version__", "unknown"))


class OnnxNetwork:
    """A network in ONNX Runtime."""

    def __init__(self, runtime: Any, asked: dict[str, Any], inputs: dict[str, Any]) -> None:
        self.runtime, self.model, self.threads = runtime, asked["model"], asked["threads"]
        self.session = self._session()
        fed = {known.name for known in self.session.get_inputs()}
        self.feed = {name: value for name, value in inputs.items() if name in fed}

    def _session(self, prefix: str = "") -> Any:
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        if prefix:
            options.enable_profiling = True
            options.profile_file_prefix = prefix
        providers = ["CPUExecutionProvider"]
        return self.runtime.InferenceSession(self.model, options, providers=providers)

    def call(self) -> Any:
        """Run it once."""
        return self.session.run(None, self.feed)

    def layers(self, runs: int) -> list[Any]:
        """Return name, kind and seconds of every pass of every layer, by the profile."""
        folder = tempfile.mkdtemp()
        try:
            session = self._session(os.path.join(folder, "profile"))
            for _ in range(runs):
                session.run(None, self.feed)
            with open(session.end_profiling()) as stream:
                events = json.load(stream)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        found: dict[tuple[str, str], list[float]] = {}
        for event in events:
            name, kind = event.get("name", ""), event.get("args", {}).get("op_name", "")
            if event.get("cat") == "Node" and name.endswith("_kernel_time"):
                found.setdefault((name[: -len("_kernel_time")], kind), []).append(event["dur"])
        return [[name, kind, [1e-6 * t for t in times]] for (name, kind), times in found.items()]


class NcnnNetwork:
    """A network in ncnn, in float32."""

    def __init__(self, runtime: Any, asked: dict[str, Any], inputs: dict[str, Any]) -> None:
        self.net = runtime.Net()
        self.net.opt.num_threads = asked["threads"]
        self.net.opt.use_vulkan_compute = False
        for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
            setattr(self.net.opt, "use_" + option, False)
        read = self.net.load_param(asked["model"]), self.net.load_model(asked["weights"])
        if read != (0, 0):
            raise RuntimeError("ncnn does not read the network that was written for it")
        self.inputs = {name: runtime.Mat(value).clone() for name, value in inputs.items()}
        self.outputs = asked["outputs"]

    def call(self) -> Any:
        """Run it once."""
        extractor = self.net.create_extractor()
        for name, mat in self.inputs.items():
            extractor.input(name, mat)
        found = []
        for name in self.outputs:
            code, mat = extractor.extract(name)
            if code != 0:
                raise RuntimeError(f"ncnn cannot run the network (code {code})")
            found.append(mat)
        return found


class TfliteNetwork:
    """A network in TensorFlow Lite."""

    def __init__(self, runtime: Any, asked: dict[str, Any], inputs: dict[str, Any]) -> None:
        self.interpreter = runtime.Interpreter(asked["model"], num_threads=asked["threads"])
        self.interpreter.allocate_tensors()
        values = list(inputs.values())
        for number, detail in enumerate(self.interpreter.get_input_details()):
            self.interpreter.set_tensor(detail["index"], values[number])
        self.outputs = [detail["index"] for detail in self.interpreter.get_output_details()]

    def call(self) -> Any:
        """Run it once."""
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(index) for index in self.outputs]


NETWORKS: dict[str, Any] = {
    "ncnn": NcnnNetwork,
    "onnxruntime": OnnxNetwork,
    "tflite": TfliteNetwork,
}


class Server:
    """Answers commands."""

    def __init__(self, engine: str) -> None:
        self.engine, self.module = engine, load_module(engine)
        self.networks: dict[int, Any] = {}

    def host(self, rest: str) -> dict[str, Any]:
        """Return the engine and the machine."""
        return {
            "engine": self.engine,
            "version": version_of(self.module),
            "python": platform.python_version(),
            "machine": platform.machine(),
            "bits": str(8 * struct.calcsize("P")),
        }

    def pin(self, rest: str) -> dict[str, Any]:
        """Bind the process to cores."""
        os.sched_setaffinity(0, [int(core) for core in rest.split()])
        return {"cores": sorted(os.sched_getaffinity(0))}

    def network(self, rest: str) -> dict[str, Any]:
        """Load a network, run it once, and return its outputs, which must be finite."""
        import numpy

        asked = json.loads(rest)
        with numpy.load(asked["inputs"], allow_pickle=False) as file:
            inputs = {name: file[name] for name in file.files}
        made = NETWORKS[self.engine](self.module, asked, inputs)
        values = [numpy.ascontiguousarray(numpy.array(value)) for value in made.call()]
        for number, value in enumerate(values):
            if value.dtype.kind == "f" and not numpy.isfinite(value).all():
                raise RuntimeError(f"output {number} holds NaN or infinity")
        number = len(self.networks)
        self.networks[number] = made
        return {"network": number, "outputs": [self._told(value) for value in values]}

    @staticmethod
    def _told(value: Any) -> dict[str, Any]:
        told = {"shape": list(value.shape), "dtype": str(value.dtype)}
        if value.size <= MOST_VALUES:
            told["base64"] = base64.b64encode(value.tobytes()).decode()
        return told

    def turn(self, rest: str) -> dict[str, Any]:
        """Take samples: seconds of a pass, those that the thread had a core, others had it too."""
        number, *fields = rest.split()
        made = self.networks[int(number)]
        field = dict(word.split("=") for word in fields)
        repeat, least, length = int(field["repeat"]), int(field["min"]), int(field["us"])
        made.call()  # what other networks left in the caches goes
        samples: list[Any] = []
        begin = time.perf_counter()
        while len(samples) < MOST_SAMPLES:
            samples.append(_sample(made.call, repeat))
            if len(samples) >= least and (time.perf_counter() - begin) * 1e6 >= length:
                break
        return {"samples": samples}

    def layers(self, rest: str) -> dict[str, Any]:
        """Return the time of every layer; none where the engine does not tell."""
        number, runs = rest.split()
        made = self.networks[int(number)]
        tell = getattr(made, "layers", None)
        return {"layers": tell(int(runs.split("=")[1])) if tell else []}

    def drop(self, rest: str) -> dict[str, Any]:
        """Give the memory of a network back."""
        self.networks[int(rest)] = None
        return {}


def _sample(call: Any, repeat: int) -> list[Any]:
    switches = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
    own, start = time.thread_time(), time.perf_counter()
    for _ in range(repeat):
        call()
    seconds, had = time.perf_counter() - start, time.thread_time() - own
    disturbed = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw != switches
    return [seconds / repeat, had / repeat, int(disturbed)]


def answer(server: Server, line: str) -> Any:
    """Return the answer to one command; what fails is told."""
    word, _, rest = line.strip().partition(" ")
    if word not in ("host", "pin", "network", "turn", "layers", "drop"):
        return {"error": f"no command is called {word!r}", "code": BAD_COMMAND}
    try:
        return getattr(server, word)(rest)
    except MemoryError:
        return {"error": "there is not enough memory for the network", "code": NO_MEMORY}
    except Exception as error:
        text = (str(error).strip().splitlines() or [""])[0]
        short = "alloc" in text.lower()
        return {
            "error": f"{type(error).__name__}: {text[:200]}",
            "code": NO_MEMORY if short else RAN_BADLY,
        }


def _read(lines: Any) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)  # whoever asked is gone: what runs on would slow the next measurement


def serve(engine: str, output: Any) -> None:
    """Answer commands until standard input closes."""
    lines: Any = queue.Queue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    server = Server(engine)
    while True:
        line = lines.get()
        if line.strip() and line.strip() != "serve":
            output.write("@costmodel " + json.dumps(answer(server, line)) + "\n")
            output.flush()


def main() -> None:
    """Serve with the arguments ``serve ENGINE``; tell the version with ``find ENGINE``."""
    word, engine = sys.argv[1:3]
    if word == "find":
        import numpy  # noqa: F401

        print(f"@costmodel found {version_of(load_module(engine))}")
        return
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an engine prints is not taken for an answer
    serve(engine, output)


if __name__ == "__main__":
    main()
