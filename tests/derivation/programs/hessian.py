import torch
from torch.autograd.functional import hessian, jacobian
def f(x):
    return (x ** 3).sum() * x[0]
x = torch.tensor([1., 2.])
H = hessian(f, x)
J = jacobian(lambda t: t * t.sum(), x)
print(H, J)
