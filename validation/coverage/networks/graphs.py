"""Plain torch modules on graphs and clouds of points."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..entry import Build, Call

FAMILY = "graph"
_NODES, _EDGES = 12, 30


class _Dense(nn.Module):
    """A graph convolution by a matrix of neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        adjacency = adjacency + torch.eye(adjacency.shape[0], device=x.device)
        degree = adjacency.sum(dim=1).rsqrt()
        normal = degree[:, None] * adjacency * degree[None, :]
        x = (normal @ self.first(x)).relu()
        return (normal @ self.second(x)).log_softmax(dim=-1)


class _Messages(nn.Module):
    """Messages along a list of edges, added up where they arrive."""

    def __init__(self) -> None:
        super().__init__()
        self.message = nn.Linear(16, 8)
        self.update = nn.GRUCell(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        start, end = edges
        for _ in range(2):
            sent = self.message(torch.cat([x[start], x[end]], dim=-1)).relu()
            x = self.update(torch.zeros_like(x).index_add(0, end, sent), x)
        return self.head(x).sum(dim=0)


class _Weighted(nn.Module):
    """Graph attention: a softmax over the edges that arrive at a node."""

    def __init__(self) -> None:
        super().__init__()
        self.lift = nn.Linear(8, 4 * 8, bias=False)
        self.source, self.target = nn.Parameter(torch.randn(4, 8)), nn.Parameter(torch.randn(4, 8))
        self.head = nn.Linear(32, 3)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        start, end = edges
        h = self.lift(x).view(-1, 4, 8)
        scores = (h * self.source).sum(-1)[start] + (h * self.target).sum(-1)[end]
        scores = functional.leaky_relu(scores, 0.2).exp()
        total = torch.zeros(x.shape[0], 4, device=x.device).scatter_add_(
            0, end[:, None].expand(-1, 4), scores
        )
        share = scores / (total[end] + 1e-9)
        out = torch.zeros_like(h)
        out.index_add_(0, end, h[start] * share[..., None])
        return self.head(functional.elu(out.flatten(1)))


class _Sampled(nn.Module):
    """The largest of the neighbours, by a scatter that reduces (GraphSAGE)."""

    def __init__(self) -> None:
        super().__init__()
        self.own, self.others = nn.Linear(8, 6), nn.Linear(8, 6, bias=False)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        start, end = edges
        most = torch.zeros_like(x).scatter_reduce(
            0, end[:, None].expand(-1, 8), x[start], "amax", include_self=False
        )
        return functional.normalize(self.own(x) + self.others(most), dim=-1)


class _Points(nn.Module):
    """PointNet: a small network learns how to turn the points."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Sequential(nn.Conv1d(3, 16, 1), nn.BatchNorm1d(16), nn.ReLU())
        self.turn = nn.Linear(16, 9)
        self.each = nn.Sequential(nn.Conv1d(3, 24, 1), nn.ReLU(), nn.Conv1d(24, 32, 1))
        self.head = nn.Linear(32, 5)

    def forward(self, points: Tensor) -> Tensor:
        turn = self.turn(self.look(points).amax(dim=2)).view(-1, 3, 3)
        turn = turn + torch.eye(3, device=points.device)
        x = torch.bmm(points.transpose(2, 1), turn).transpose(2, 1)
        return self.head(torch.max(self.each(x), 2)[0])


class _Neighbours(nn.Module):
    """Edges to the nearest points, found in every layer (DGCNN)."""

    def __init__(self) -> None:
        super().__init__()
        self.edge = nn.Sequential(nn.Conv2d(6, 16, 1, bias=False), nn.LeakyReLU(0.2))
        self.head = nn.Linear(16, 4)

    def forward(self, points: Tensor) -> Tensor:
        rows = points.transpose(1, 2)
        nearest = torch.cdist(rows, rows).topk(4, dim=-1, largest=False).indices
        b, n, k = nearest.shape
        found = rows[torch.arange(b)[:, None, None], nearest]
        centre = rows[:, :, None].expand(b, n, k, 3)
        edges = torch.cat([centre, found - centre], dim=-1).permute(0, 3, 1, 2)
        return self.head(self.edge(edges).amax(dim=-1).mean(dim=-1))


class _Distances(nn.Module):
    """SchNet: filters that follow from the distance of two atoms."""

    def __init__(self) -> None:
        super().__init__()
        self.atoms = nn.Embedding(10, 16)
        self.filters = nn.Sequential(nn.Linear(8, 16), nn.Softplus(), nn.Linear(16, 16))
        self.dense = nn.Linear(16, 16)
        self.energy = nn.Linear(16, 1)
        self.register_buffer("centres", torch.linspace(0, 5, 8))

    def forward(self, numbers: Tensor, places: Tensor) -> Tensor:
        x = self.atoms(numbers)
        far = (places[:, None] - places[None]).pow(2).sum(-1).add(1e-9).sqrt()
        waves = torch.exp(-((far[..., None] - self.centres) ** 2))
        x = x + (self.filters(waves) * self.dense(x)[None]).sum(dim=1)
        return self.energy(x).sum()


class _Pooled(nn.Module):
    """The best nodes are kept, their number is a share of all (top-k pooling)."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Parameter(torch.randn(8))
        self.relation = nn.Bilinear(8, 8, 5)
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        scores = torch.mv(x, self.score) / self.score.norm()
        kept = scores.topk(x.shape[0] // 2).indices
        x = x[kept] * scores[kept].tanh()[:, None]
        mixed = adjacency[kept][:, kept] @ x
        return self.head(self.relation(x, mixed)).mean(dim=0)


def _nodes() -> Tensor:
    return torch.randn(_NODES, 8)


def _edges() -> Tensor:
    return torch.randint(0, _NODES, (2, _EDGES))


def _adjacency() -> Tensor:
    return (torch.rand(_NODES, _NODES) > 0.6).float()


NETWORKS: dict[str, Build] = {
    "dgcnn": lambda: Call(_Neighbours().eval(), (torch.randn(2, 3, 16),)),
    "gat": lambda: Call(_Weighted().eval(), (_nodes(), _edges())),
    "gcn dense": lambda: Call(_Dense().eval(), (_nodes(), _adjacency())),
    "graphsage": lambda: Call(_Sampled().eval(), (_nodes(), _edges())),
    "message passing": lambda: Call(_Messages().eval(), (_nodes(), _edges())),
    "pointnet": lambda: Call(_Points().eval(), (torch.randn(2, 3, 20),)),
    "schnet": lambda: Call(_Distances().eval(), (torch.randint(0, 10, (6,)), torch.randn(6, 3))),
    "top-k pooling": lambda: Call(_Pooled().eval(), (_nodes(), _adjacency())),
}
