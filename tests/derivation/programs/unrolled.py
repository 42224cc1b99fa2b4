import torch
x = torch.tensor(0.9, requires_grad=True)
h = x
for k in range(6):
    h = torch.sin(h)
h.backward()
