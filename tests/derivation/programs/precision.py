import torch

x = torch.tensor([1000.0, 1000.001], requires_grad=True)
y = ((x - x.mean()) ** 2).sum() * 1e6
y.backward()
