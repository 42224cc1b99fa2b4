import torch
x = torch.tensor([1., 2.], requires_grad=True)
a = x.detach() * x
with torch.no_grad():
    b = x * 5
(a + b).sum().backward()
