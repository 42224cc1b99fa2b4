import torch
class Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return (x > 0).float()
    @staticmethod
    def backward(ctx, g):
        return g
w = torch.tensor([0.5, -2.0], requires_grad=True)
y = Step.apply(w)
loss = (y * 3).sum()
loss.backward()
