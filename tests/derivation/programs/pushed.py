import torch
from torch.func import jvp


def f(x):
    return x**2 * x.sum()


x, u = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 0.0, -1.0])
out, change = jvp(f, (x,), (u,))
print(change)
