"""Importing leaves the user's module as it was: deep comparison, same outputs, threads, errors."""

from __future__ import annotations

import functools
import gc
import threading
import types
import warnings
from collections import OrderedDict
from collections.abc import Callable

import pytest

from costmodel.errors import CostModelError
from costmodel.importers import from_torch

torch = pytest.importorskip("torch")
F = torch.nn.functional
nn = torch.nn


ROWS = (torch.randn(3, 4),)


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> object:
        return self.linear(x)


class FirstSetInForward(Base):
    """The head of a detector: attributes of the class that forward gives to the instance."""

    anchors = torch.empty(0)
    shape = None

    def forward(self, x: torch.Tensor) -> object:
        if self.shape != x.shape:
            self.anchors = torch.arange(x.shape[-1], dtype=x.dtype) + self.linear.weight.sum() * 0
            self.shape = x.shape
        return self.linear(x) + self.anchors


class LazyCache(Base):
    def __init__(self) -> None:
        super().__init__()
        self.cache: dict = {}
        self.seen: list = []

    def forward(self, x: torch.Tensor) -> object:
        if x.shape[0] not in self.cache:
            self.cache[x.shape[0]] = torch.ones(x.shape[0], 1) * self.linear.bias[0]
        self.seen.append(x)
        return self.linear(x) * self.cache[x.shape[0]]


class Store:
    def __init__(self) -> None:
        self.values: dict = {}
        self.calls = 0


class PlainObject(Base):
    def __init__(self) -> None:
        super().__init__()
        self.store = Store()

    def forward(self, x: torch.Tensor) -> object:
        self.store.calls += 1
        self.store.values["last"] = y = self.linear(x)
        return y


class Counting(Base):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("average", torch.zeros(4))

    def forward(self, x: torch.Tensor) -> object:
        self.steps += 1
        self.average.mul_(0.9).add_(x.mean(0), alpha=0.1)
        return self.linear(x) + self.average


class ReplacedBuffer(Counting):
    def forward(self, x: torch.Tensor) -> object:
        self.average = x.mean(0)
        return self.linear(x) + self.average


FILE_CACHE: dict = {}


@functools.lru_cache
def positions(n: int) -> torch.Tensor:
    return torch.arange(n)


class CachesAround(Base):
    """Caches of the class, of the file, and of a function."""

    kept: dict = {}
    order: list = []

    def forward(self, x: torch.Tensor) -> object:
        made = self.kept.setdefault(x.shape, self.linear.weight.sum())
        self.order.append(made)
        FILE_CACHE[x.shape] = made + positions(4)
        return self.linear(x) + FILE_CACHE[x.shape]


FILE_TENSOR = torch.zeros(4)


class WritesTheFile(Base):
    def forward(self, x: torch.Tensor) -> object:
        FILE_TENSOR.add_(1)
        return self.linear(x) + FILE_TENSOR


class WritesParameter(Base):
    def forward(self, x: torch.Tensor) -> object:
        self.linear.weight.data.clamp_(-0.01, 0.01)
        return self.linear(x)


class AsksValues(Base):
    def forward(self, x: torch.Tensor) -> object:
        self.found = self.linear(x)
        return self.found if self.found.sum() > 0 else -self.found


class AsksAndWrites(Counting):
    def forward(self, x: torch.Tensor) -> object:
        self.linear.bias.data.add_(1)
        self.steps += int(self.linear(x).sum() > 1e9)
        return self.linear(x)


class WritesInput(Base):
    def forward(self, x: torch.Tensor) -> object:
        x += 1
        return self.linear(x)


class BoundMethods(Base):
    def __init__(self) -> None:
        super().__init__()
        self.act = self.activate
        self.also = functools.partial(self.activate)
        self.calls = 0

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.linear(x).relu()

    def forward(self, x: torch.Tensor) -> object:
        return self.act(x) + self.also(x)


def quietly(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    @functools.wraps(make)
    def made() -> nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it tests is deprecated
            return make()

    return made


def patched() -> nn.Module:
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    calls: list = []

    def forward(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        calls.append(x)
        net.extra = x
        return net[1](net[0](x))

    net.forward = types.MethodType(forward, net)
    net.calls = calls
    return net


def hooked() -> nn.Module:
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    features: list = []
    net[0].register_forward_hook(lambda m, i, o: features.append(o))
    net[1].register_forward_pre_hook(lambda m, i: (i[0] * 2,))
    net.features = features
    return net


def with_grads() -> nn.Module:
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout())
    net(torch.randn(3, 4)).sum().backward()
    net[0].weight.requires_grad_(False)
    return net.train()


def tied() -> nn.Module:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    net[1].weight = net[0].weight
    net.same = net[0]
    net.parts = [net[0], {"x": net[1]}]
    return net


def spectral() -> nn.Module:
    return torch.nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))


def weight_norm() -> nn.Module:
    return torch.nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))


@quietly
def old_weight_norm() -> nn.Module:
    return torch.nn.utils.weight_norm(nn.Linear(4, 4))


@quietly
def scripted() -> nn.Module:
    return torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))


@quietly
def traced() -> nn.Module:
    return torch.jit.trace(nn.Linear(4, 4), ROWS)


def pruned() -> nn.Module:
    from torch.nn.utils import prune

    return prune.l1_unstructured(nn.Linear(4, 4), "weight", 0.5)


IMAGE = (torch.randn(1, 3, 8, 8),)
STEPS = (torch.randn(3, 2, 4),)

MODULES: dict[str, tuple[Callable[[], nn.Module], tuple]] = {
    "first set in forward": (FirstSetInForward, ROWS),
    "lazily made cache": (LazyCache, ROWS),
    "plain object": (PlainObject, ROWS),
    "counting buffer": (Counting, ROWS),
    "caches around": (CachesAround, ROWS),
    "writes a tensor of the file": (WritesTheFile, ROWS),
    "replaced buffer": (ReplacedBuffer, ROWS),
    "writes a parameter": (WritesParameter, ROWS),
    "asks for values": (AsksValues, ROWS),
    "asks and writes": (AsksAndWrites, ROWS),
    "writes its input": (WritesInput, ROWS),
    "bound methods": (BoundMethods, ROWS),
    "patched forward": (patched, ROWS),
    "hooks": (hooked, ROWS),
    "grads and modes": (with_grads, ROWS),
    "tied": (tied, ROWS),
    "spectral norm": (spectral, ROWS),
    "weight norm": (weight_norm, ROWS),
    "old weight norm": (old_weight_norm, ROWS),
    "pruned": (pruned, ROWS),
    "batch norm": (lambda: nn.BatchNorm2d(3), IMAGE),
    "batch norm without statistics": (lambda: nn.BatchNorm2d(3, track_running_stats=False), IMAGE),
    "instance norm with statistics": (
        lambda: nn.InstanceNorm2d(3, track_running_stats=True),
        IMAGE,
    ),
    "convolutions": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True)), IMAGE),
    "lstm": (lambda: nn.LSTM(4, 5, 2), STEPS),
    "gru": (lambda: nn.GRU(4, 5, bidirectional=True), STEPS),
    "attention": (lambda: nn.TransformerEncoderLayer(4, 2, 8), STEPS),
    "embedding": (
        lambda: nn.EmbeddingBag(9, 4, max_norm=1.0),
        (torch.randint(9, (2, 3)),),
    ),
    "script": (scripted, ROWS),
    "trace": (traced, ROWS),
    "fx": (lambda: torch.fx.symbolic_trace(nn.Sequential(nn.Linear(4, 4), nn.ReLU())), ROWS),
    "data parallel": (lambda: nn.DataParallel(nn.Linear(4, 4)), ROWS),
    "frozen part": (lambda: Base().eval().requires_grad_(False), ROWS),
}


def picture(x: object, seen: dict) -> object:
    """Return what can be seen of ``x``: identities, contents, versions, gradients."""
    if isinstance(x, torch.Tensor):
        content = (
            x.detach().clone().tolist() if x.device.type != "meta" and x.is_floating_point() else 0
        )
        told = {k: picture(v, seen) for k, v in vars(x).items()}
        grad = x.grad if x.is_leaf else None
        grad = None if grad is None else (id(grad), grad.tolist())
        flags = (x.requires_grad, x.dtype, x.device, tuple(x.shape), x.is_inference())
        return id(x), type(x), content, x._version, grad, flags, told
    if id(x) in seen:
        return id(x)
    seen[id(x)] = x
    if isinstance(x, torch.jit.ScriptModule):
        state = {k: picture(v, seen) for k, v in x.state_dict(keep_vars=True).items()}
        return id(x), x.training, [(k, v[2:4]) for k, v in state.items()]
    if isinstance(x, nn.Module | Store):
        return id(x), type(x), {k: picture(v, seen) for k, v in x.__dict__.items()}
    if isinstance(x, dict | OrderedDict):
        return id(x), [(k, picture(v, seen)) for k, v in x.items()]
    if isinstance(x, list | tuple | set):
        return id(x), [picture(v, seen) for v in x]
    if isinstance(x, types.FunctionType):
        cells = [c.cell_contents for c in x.__closure__ or ()]
        return id(x), [picture(v, seen) for v in cells]
    return (id(x), repr(x)) if isinstance(x, int | float | str | None) else id(x)


def tensors(x: object) -> list[torch.Tensor]:
    if isinstance(x, torch.Tensor):
        return [x]
    return [t for part in x for t in tensors(part)] if isinstance(x, tuple | list) else []


def outputs(net: nn.Module, inputs: tuple) -> list[torch.Tensor]:
    """Run in eval mode and put the modes back."""
    torch.manual_seed(1)
    modes = [(m, m.training) for m in net.modules()]
    net.eval()
    with torch.no_grad():
        made = tensors(net(*(x.clone() for x in inputs)))
    for module, mode in modes:
        module.training = mode
    return made


def settings() -> tuple:
    return (
        (list(FILE_CACHE), positions.cache_info().currsize, len(CachesAround.order)),
        (list(CachesAround.kept), FILE_TENSOR.tolist()),
        torch.backends.mha.get_fastpath_enabled(),
        list(warnings.filters),
        gc.isenabled(),
        torch.is_grad_enabled(),
        torch.random.get_rng_state().tolist(),
        torch.get_default_device(),
    )


@pytest.mark.parametrize("name", MODULES)
def test_importing_leaves_a_module_as_it_was(name: str) -> None:
    make, inputs = MODULES[name]
    torch.manual_seed(0)
    net, twin = make(), None
    torch.manual_seed(0)
    twin = make()
    before, given, process = picture(net, {}), picture(inputs, {}), settings()
    from_torch(net, *inputs, strict=False)
    assert picture(net, {}) == before
    assert picture(inputs, {}) == given
    assert settings() == process
    ours_made = outputs(net, inputs)
    FILE_TENSOR.zero_()
    for ours, right in zip(ours_made, outputs(twin, inputs), strict=True):
        assert torch.equal(ours, right)
        assert ours.device.type == "cpu"


class Failing(Counting):
    def forward(self, x: torch.Tensor) -> object:
        self.late = self.linear(x)
        self.steps += 1
        raise ValueError("it always does")


@pytest.mark.parametrize("make", [Failing, lambda: nn.Sequential(Counting(), nn.Linear(3, 3))])
def test_also_where_it_fails(make: Callable[[], nn.Module]) -> None:
    net = make()
    before, process = picture(net, {}), settings()
    with pytest.raises(CostModelError, match="does not run on these inputs"):
        from_torch(net, *ROWS)
    assert picture(net, {}) == before
    assert settings() == process


def test_several_threads_import_while_others_run() -> None:
    net = nn.Sequential(Counting(), AsksValues(), nn.BatchNorm1d(4), nn.ReLU()).eval()
    plain = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    before, process = picture(net, {}), settings()
    wrong: list = []
    expected = list(from_torch(net, *ROWS))

    def work() -> None:
        try:
            for _ in range(5):
                assert list(from_torch(net, *ROWS)) == expected
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        assert torch.isfinite(plain(ROWS[0])).all()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert picture(net, {}) == before
    assert settings() == process


def test_a_module_runs_while_another_thread_imports_it() -> None:
    net = nn.Sequential(*(nn.Linear(4, 4) for _ in range(50)))
    stop, wrong = threading.Event(), []

    def work() -> None:
        while not stop.is_set():
            made = net(ROWS[0])
            if made.device.type != "cpu" or not made.requires_grad:
                wrong.append(made)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(5):
        from_torch(net, *ROWS)
    stop.set()
    thread.join()
    assert wrong == []


def test_lazy_modules_stay_lazy() -> None:
    net = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5))
    graph = from_torch(net, *IMAGE)
    assert isinstance(net[3], nn.LazyLinear)
    assert net[3].has_uninitialized_params()
    import costmodel as cm

    assert cm.multiply_adds(graph) == 36 * 4 * 27 + 144 * 5
    assert cm.params(graph) == 4 * 27 + 4 + 144 * 5 + 5
    assert net(*IMAGE).shape == (1, 5)
