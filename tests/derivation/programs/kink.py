import torch

x = torch.tensor([0.0, 2.0], requires_grad=True)
x.abs().sum().backward()
