"""Derivations of PyTorch gradients."""
