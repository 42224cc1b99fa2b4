import torch
x = torch.ones(3, requires_grad=True)
y = x * 2
y[1] = 0
y.mul_(3)
(y ** 2).sum().backward()
print(x.grad)
