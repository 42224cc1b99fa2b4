"""Losses as modules."""

from __future__ import annotations

from explain.torch.nn.build import layer

MEAN = {"reduction": "mean"}
L1Loss = layer("L1Loss", "l1_loss", MEAN, shown="")
MSELoss = layer("MSELoss", "mse_loss", MEAN, shown="")
SmoothL1Loss = layer("SmoothL1Loss", "smooth_l1_loss", {**MEAN, "beta": 1.0}, shown="")
HuberLoss = layer("HuberLoss", "huber_loss", {**MEAN, "delta": 1.0}, shown="")
CrossEntropyLoss = layer(
    "CrossEntropyLoss", "cross_entropy", {"weight": None, "ignore_index": -100, **MEAN, "label_smoothing": 0.0}, shown=""
)
NLLLoss = layer("NLLLoss", "nll_loss", {"weight": None, "ignore_index": -100, **MEAN}, shown="")
BCELoss = layer("BCELoss", "binary_cross_entropy", {"weight": None, **MEAN}, shown="")
BCEWithLogitsLoss = layer(
    "BCEWithLogitsLoss", "binary_cross_entropy_with_logits", {"weight": None, **MEAN, "pos_weight": None}, shown=""
)
KLDivLoss = layer("KLDivLoss", "kl_div", {**MEAN, "log_target": False}, shown="")
PoissonNLLLoss = layer(
    "PoissonNLLLoss", "poisson_nll_loss", {"log_input": True, "full": False, "eps": 1e-8, **MEAN}, shown=""
)
GaussianNLLLoss = layer("GaussianNLLLoss", "gaussian_nll_loss", {"full": False, "eps": 1e-6, **MEAN}, shown="")
HingeEmbeddingLoss = layer("HingeEmbeddingLoss", "hinge_embedding_loss", {"margin": 1.0, **MEAN}, shown="")
MarginRankingLoss = layer("MarginRankingLoss", "margin_ranking_loss", {"margin": 0.0, **MEAN}, shown="")
SoftMarginLoss = layer("SoftMarginLoss", "soft_margin_loss", MEAN, shown="")
MultiMarginLoss = layer("MultiMarginLoss", "multi_margin_loss", {"p": 1, "margin": 1.0, "weight": None, **MEAN}, shown="")
MultiLabelMarginLoss = layer("MultiLabelMarginLoss", "multilabel_margin_loss", MEAN, shown="")
MultiLabelSoftMarginLoss = layer(
    "MultiLabelSoftMarginLoss", "multilabel_soft_margin_loss", {"weight": None, **MEAN}, shown=""
)
CosineEmbeddingLoss = layer("CosineEmbeddingLoss", "cosine_embedding_loss", {"margin": 0.0, **MEAN}, shown="")
TripletMarginLoss = layer(
    "TripletMarginLoss", "triplet_margin_loss", {"margin": 1.0, "p": 2.0, "eps": 1e-6, "swap": False, **MEAN}, shown=""
)
CosineSimilarity = layer("CosineSimilarity", "cosine_similarity", {"dim": 1, "eps": 1e-8}, shown="")
PairwiseDistance = layer("PairwiseDistance", "pairwise_distance", {"p": 2.0, "eps": 1e-6, "keepdim": False}, shown="")
