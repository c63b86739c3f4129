"""Neural models, on one training loop. They need PyTorch."""

from __future__ import annotations

from recsys_lab.algorithms.entries.entry import HERE, Entry, Range, Space

_NEURAL = HERE + "neural."
LAYERS = ((64, 64), (64, 32), (64, 32, 16), (32, 16, 8))
PAIRS: Space = {
    "learning_rate": Range(5e-5, 5e-3, log=True), "n_factors": Range(8, 256, log=True), "n_negatives": Range(4, 8),
}  # fmt: skip

# fmt: off
NEURAL: dict[str, Entry] = {
    "GMF": Entry(
        _NEURAL + "neumf:GMF", "neural", "ranking", "matrix factorization by the log loss of pairs",
        paper="He et al., WWW 2017", complexity="epochs · negatives · n · k", memory="(users + items) · k",
        stochastic=True, extra="torch", space=PAIRS,
    ),
    "MLP": Entry(
        _NEURAL + "neumf:MLP", "neural", "ranking", "a perceptron over a user's and an item's vector",
        paper="He et al., WWW 2017", complexity="epochs · negatives · n · k · layer", memory="(users + items) · k",
        stochastic=True, extra="torch", space={**PAIRS, "layers": LAYERS, "dropout": Range(0.0, 0.2)},
    ),
    "NeuMF": Entry(
        _NEURAL + "neumf:NeuMF", "neural", "ranking", "GMF and MLP side by side",
        paper="He et al., WWW 2017", complexity="epochs · negatives · n · k · layer", memory="(users + items) · k",
        stochastic=True, extra="torch", space={**PAIRS, "layers": LAYERS, "dropout": Range(0.0, 0.2)},
    ),
    "TwoTower": Entry(
        _NEURAL + "two_tower:TwoTower", "neural", "ranking",
        "a tower for users, one for ids and attributes of items; serves cold items where there are attributes",
        paper="Yi et al., RecSys 2019", complexity="epochs · n · batch · k", memory="(users + items) · k",
        serves_cold_items=True, stochastic=True, extra="torch",
        space={
            "learning_rate": Range(1e-4, 1e-2, log=True), "n_factors": Range(16, 256, log=True),
            "temperature": Range(0.05, 0.5, log=True), "id_dropout": Range(0.0, 0.5),
        },
    ),
    "MultVAE": Entry(
        _NEURAL + "mult_vae:MultVAE", "neural", "ranking", "variational autoencoder of whole histories",
        paper="Liang et al., WWW 2018", complexity="epochs · users · items · hidden", memory="2 · items · hidden",
        serves_new_users=True, stochastic=True, extra="torch",
        space={
            "n_factors": (64, 128, 200, 300), "anneal_cap": Range(0.0, 1.0),
            "learning_rate": Range(1e-4, 5e-3, log=True), "batch_size": (128, 256, 512),
        },
    ),
    "LightGCN": Entry(
        _NEURAL + "light_gcn:LightGCN", "neural", "ranking", "vectors smoothed over the graph of users and items",
        paper="He et al., SIGIR 2020", complexity="epochs · batches · layers · n · k", memory="(users + items) · k",
        stochastic=True, extra="torch",
        space={
            "n_factors": Range(64, 256), "n_layers": Range(1, 4), "regularization": Range(1e-6, 1e-2, log=True),
            "learning_rate": Range(5e-4, 5e-3, log=True),
        },
    ),
    "SASRec": Entry(
        _NEURAL + "sas_rec:SASRec", "neural", "ranking", "self-attention over the history in the order of time",
        paper="Kang and McAuley, ICDM 2018", complexity="epochs · n · k · (k + length + negatives)",
        memory="n + items · k", needs=("time",), learns="order", serves_new_users=True, stochastic=True,
        extra="torch",
        space={
            "n_layers": Range(1, 3), "n_heads": (1, 2), "n_factors": (50, 64, 128, 256), "dropout": Range(0.1, 0.5),
            "max_length": Range(50, 200), "learning_rate": Range(1e-4, 1e-3, log=True),
        },
    ),
}
