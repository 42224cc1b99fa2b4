import torch

w = torch.tensor([0.5, -1.0], requires_grad=True)
b = torch.tensor(0.1, requires_grad=True)
X = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
y = torch.tensor([0.0, 1.0, 1.0])

p = torch.sigmoid(X @ w + b)
loss = -(y * p.log() + (1 - y) * (1 - p).log()).mean()
loss.backward()
print(w.grad, b.grad)
