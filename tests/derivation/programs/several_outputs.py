import torch
x = torch.tensor([[1., 2.], [3., 4.]], requires_grad=True)
a, b = x.unbind(0)
c, d = torch.chunk(b * 2, 2)
(a * a * c + d).sum().backward()
print(x.grad)
