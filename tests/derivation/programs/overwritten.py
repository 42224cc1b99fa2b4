import torch
w = torch.tensor([1., 2.], requires_grad=True)
y = (w ** 2).sum()
w.data.mul_(10)
y.backward()
