"""Programs with loops that tests of several folders speak of; ``turns`` is to be filled in."""

SEQUENCE = """import torch
torch.manual_seed(0)
U = torch.randn(3, 2, requires_grad=True)
X = torch.randn({turns}, 2)
h = torch.zeros(3)
for t in range({turns}):
    h = torch.tanh(0.5 * h + U @ X[t])
(h**2).sum().backward()
"""
