import torch
def g(n, x):
    return x if n == 0 else x * g(n - 1, x)
x = torch.tensor(2.0, requires_grad=True)
total = torch.tensor(0.0)
for k in range(3):
    if k % 2 == 0:
        total = total + g(k, x)
total.backward()
