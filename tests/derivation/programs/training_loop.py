import torch
w = torch.tensor(0., requires_grad=True)
x, t = torch.tensor([1., 2.]), torch.tensor([2., 4.])
opt = torch.optim.SGD([w], lr=0.1)
for step in range(20):
    opt.zero_grad()
    loss = ((w * x - t) ** 2).mean()
    loss.backward()
    opt.step()
print(w)
