"""
A network is a graph
====================

A network is a ``networkx`` graph: operators are nodes, tensors flow along edges. This example shows
the units of ShuffleNet v2 with stride 2 and with stride 1, and the kernels of a runtime for the
second.
"""

import costmodel as cm
from costmodel import plots
from costmodel.kernels.lowering import lower
from costmodel.runtimes import load_runtime

graph = cm.zoo.shufflenet_v2(width=1.0)
units = graph.subgraph(n for n in graph if n.startswith(("stage2.0", "stage2.1")))

# %%
# Shaded: operators with multiply-adds. Dashed: views, which move nothing.
plots.draw(units)

# %%
# A runtime launches kernels, not operators. The paper's engine folds batch normalization into
# weights, fuses activations into the producing kernel, and merges concat, channel shuffle and the
# next split.
for kernel in lower(graph, load_runtime("paper")):
    if kernel.name.startswith("stage2.1"):
        print(f"{kernel.kind:12}{' + '.join(n.removeprefix('stage2.1.') for n in kernel.nodes)}")
