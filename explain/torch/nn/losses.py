"""Losses as modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from explain.torch.nn.build import functional, layer
from explain.torch.nn.module import Module

OLD = {"size_average": None, "reduce": None}
"""How reductions were spelled before ``reduction``: torch still takes them, in these places."""
MEAN = {"reduction": "mean"}
LOSS = {**OLD, **MEAN}
CLASSES = {"weight": None, "size_average": None, "ignore_index": -100, "reduce": None, **MEAN}
L1Loss = layer("L1Loss", "l1_loss", LOSS, shown="")
MSELoss = layer("MSELoss", "mse_loss", LOSS, shown="")
SmoothL1Loss = layer("SmoothL1Loss", "smooth_l1_loss", {**LOSS, "beta": 1.0}, shown="")
HuberLoss = layer("HuberLoss", "huber_loss", {**MEAN, "delta": 1.0}, shown="")
CrossEntropyLoss = layer("CrossEntropyLoss", "cross_entropy", {**CLASSES, "label_smoothing": 0.0}, shown="")
NLLLoss = layer("NLLLoss", "nll_loss", CLASSES, shown="")
BCELoss = layer("BCELoss", "binary_cross_entropy", {"weight": None, **LOSS}, shown="")
BCEWithLogitsLoss = layer(
    "BCEWithLogitsLoss", "binary_cross_entropy_with_logits", {"weight": None, **LOSS, "pos_weight": None}, shown=""
)
KLDivLoss = layer("KLDivLoss", "kl_div", {**LOSS, "log_target": False}, shown="")
PoissonNLLLoss = layer(
    "PoissonNLLLoss",
    "poisson_nll_loss",
    {"log_input": True, "full": False, "size_average": None, "eps": 1e-8, "reduce": None, **MEAN},
    shown="",
)
GaussianNLLLoss = layer("GaussianNLLLoss", "gaussian_nll_loss", {"full": False, "eps": 1e-6, **MEAN}, shown="")
HingeEmbeddingLoss = layer("HingeEmbeddingLoss", "hinge_embedding_loss", {"margin": 1.0, **LOSS}, shown="")
MarginRankingLoss = layer("MarginRankingLoss", "margin_ranking_loss", {"margin": 0.0, **LOSS}, shown="")
SoftMarginLoss = layer("SoftMarginLoss", "soft_margin_loss", LOSS, shown="")
MultiMarginLoss = layer("MultiMarginLoss", "multi_margin_loss", {"p": 1, "margin": 1.0, "weight": None, **LOSS}, shown="")
MultiLabelMarginLoss = layer("MultiLabelMarginLoss", "multilabel_margin_loss", LOSS, shown="")
MultiLabelSoftMarginLoss = layer(
    "MultiLabelSoftMarginLoss", "multilabel_soft_margin_loss", {"weight": None, **LOSS}, shown=""
)
CosineEmbeddingLoss = layer("CosineEmbeddingLoss", "cosine_embedding_loss", {"margin": 0.0, **LOSS}, shown="")
TripletMarginLoss = layer(
    "TripletMarginLoss", "triplet_margin_loss", {"margin": 1.0, "p": 2.0, "eps": 1e-6, "swap": False, **LOSS}, shown=""
)
CosineSimilarity = layer("CosineSimilarity", "cosine_similarity", {"dim": 1, "eps": 1e-8}, shown="")
PairwiseDistance = layer("PairwiseDistance", "pairwise_distance", {"p": 2.0, "eps": 1e-6, "keepdim": False}, shown="")


class TripletMarginWithDistanceLoss(Module):
    """The triplet margin loss with a distance of one's own."""

    def __init__(
        self,
        *,
        distance_function: Callable[[Any, Any], Any] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        if margin <= 0:
            raise ValueError(f"TripletMarginWithDistanceLoss: expected margin to be greater than 0, got {margin} instead")
        self.distance_function = distance_function if distance_function is not None else PairwiseDistance()
        self.margin, self.swap, self.reduction = margin, swap, reduction

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Any:
        """max(0, margin + d(anchor, positive) − d(anchor, negative))."""
        return functional("triplet_margin_with_distance_loss")(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )
