import torch
x = torch.tensor([1., 2.], requires_grad=True)
h = x * 2
h.register_hook(lambda g: g * 10)
h.sum().backward()
