"""
Search a space that is too large to rank
========================================

The space of Once-for-all's MobileNet v3 (Cai et al., ICLR 2020) has 72 million variants here, each
of another structure. A search library asks for one after the other, and the predictor answers
within its loop: here the evolution of `Optuna <https://optuna.org>`_ (NSGA-II), which finds the
front of latency and multiply-adds. In place of the multiply-adds stands what you know of the
accuracy.
"""

import matplotlib.pyplot as plt
import numpy as np
import optuna

import costmodel as cm

space = cm.find_space("ofa_mobilenet_v3")
predict = cm.predictor("rk3399/tflite")


def evaluate(trial):
    chosen = {
        name: trial.suggest_categorical(name, list(values))
        for name, values in space.choices.items()
    }
    graph = space.build(**chosen)
    return predict(graph), cm.multiply_adds(graph)


# %%
# Fast, and with many multiply-adds.
optuna.logging.set_verbosity(optuna.logging.ERROR)
sampler = optuna.samplers.NSGAIISampler(population_size=20, seed=1)
study = optuna.create_study(directions=("minimize", "maximize"), sampler=sampler)
study.optimize(evaluate, n_trials=200)

# %%
# All variants that were predicted, and the front that was found.
found = np.array([trial.values for trial in study.trials])
front = np.array(sorted(trial.values for trial in study.best_trials))
fig, ax = plt.subplots()
ax.plot(found[:, 1] / 1e6, found[:, 0] * 1e3, ".", color="#999999", label="predicted")
ax.plot(front[:, 1] / 1e6, front[:, 0] * 1e3, "o-", color="#D55E00", label="front")
ax.set_xlabel("multiply-adds (M)")
ax.set_ylabel("predicted latency (ms)")
ax.legend()
print(f"{len(study.trials)} of {space.count:,} variants predicted, {len(front)} on the front")
plt.show()
