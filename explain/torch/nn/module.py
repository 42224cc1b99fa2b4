"""``nn.Module``: parameters, buffers and modules under names, called like a function."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from explain.tape.dtypes import FLOATING, DType
from explain.tape.hooks import RemovableHandle
from explain.tape.inplace import write
from explain.tape.tensor import Tensor, wrap
from explain.torch.device import refuse_unless_cpu
from explain.torch.nn.parameter import Parameter

NO_INIT = "cannot assign {} before Module.__init__() call"


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict`` did not find, and what it did not expect."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


class Module:
    """Base of all layers and models. Subclasses define ``forward``."""

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        own = self.__dict__
        own["training"] = True
        own["_parameters"], own["_buffers"], own["_modules"] = {}, {}, {}
        own["_non_persistent"] = set()
        own["_forward_hooks"], own["_forward_pre_hooks"], own["_backward_hooks"] = {}, {}, {}

    def forward(self, *inputs: Any) -> Any:
        """What the module computes. Raises NotImplementedError until a subclass says it."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if "_forward_hooks" not in self.__dict__:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '_backward_hooks'")
        for hook in list(self._forward_pre_hooks.values()):
            found = hook(self, args)
            if found is not None:
                args = found if isinstance(found, tuple) else (found,)
        out = self.forward(*args, **kwargs)
        for hook in list(self._forward_hooks.values()):
            found = hook(self, args, out)
            if found is not None:
                out = found
        return out

    # names

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if isinstance(value, Parameter):
            if "_parameters" not in own:
                raise AttributeError(NO_INIT.format("parameters"))
            self._drop(name)
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            if "_modules" not in own:
                raise AttributeError(NO_INIT.format("module"))
            self._drop(name)
            own["_modules"][name] = value
        elif "_parameters" in own and name in own["_parameters"]:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_type_name(value)}' as parameter '{name}' (torch.nn.Parameter or None expected)"
                )
            own["_parameters"][name] = None
        elif "_modules" in own and name in own["_modules"]:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_type_name(value)}' as child module '{name}' (torch.nn.Module or None expected)"
                )
            own["_modules"][name] = None
        elif "_buffers" in own and name in own["_buffers"]:
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{_type_name(value)}' as buffer '{name}' (torch.nn.Buffer, torch.Tensor or None "
                    "expected)"
                )
            own["_buffers"][name] = value
        elif isinstance(value, Tensor) and value.__dict__.get("_is_buffer"):
            self.register_buffer(name, value, value.__dict__.get("persistent", True))
        else:
            object.__setattr__(self, name, value)

    def _drop(self, name: str) -> None:
        own = self.__dict__
        for table in (own, own["_parameters"], own["_buffers"], own["_modules"]):
            table.pop(name, None)

    def __getattr__(self, name: str) -> Any:
        for table in ("_parameters", "_buffers", "_modules"):
            found = self.__dict__.get(table)
            if found is not None and name in found:
                return found[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        for table in (self._parameters, self._buffers, self._modules):
            if name in table:
                del table[name]
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *self._parameters, *self._buffers, *self._modules})

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Put a parameter under a name. Raises torch's errors for what is none."""
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        if "." in name:
            raise KeyError('parameter name can\'t contain "."')
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{_type_name(param)}' object to parameter '{name}' (torch.nn.Parameter or None required)"
            )
        if param is not None and param.node is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. To "
                f"express '{name}' as a function of another Tensor, compute the value in the forward() method."
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Put a tensor that is no parameter under a name."""
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        self.__dict__.pop(name, None)
        self._buffers[name] = tensor
        if not persistent:
            self.__dict__["_non_persistent"].add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Put a module under a name. Raises torch's errors for what is none."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{_type_name(module)} is not a Module subclass")
        if "." in name:
            raise KeyError(f'module name can\'t contain ".", got: {name}')
        if not name:
            raise KeyError('module name can\'t be empty string ""')
        self._modules[name] = module

    register_module = add_module

    # walking

    def named_modules(self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True) -> Iterator[Any]:
        """(name, module) for this one and all inside, each once."""
        memo = set() if memo is None else memo
        if id(self) in memo:
            return
        if remove_duplicate:
            memo.add(id(self))
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def _named(self, table: str, prefix: str, recurse: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for place, module in self.named_modules(prefix=prefix) if recurse else [(prefix, self)]:
            for name, value in module.__dict__[table].items():
                if value is not None and id(value) not in seen:
                    seen.add(id(value))
                    yield (f"{place}.{name}" if place else name), value

    def named_parameters(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Iterator[Any]:
        """(name, parameter) for all, each once."""
        return self._named("_parameters", prefix, recurse)

    def named_buffers(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Iterator[Any]:
        """(name, buffer) for all, each once."""
        return self._named("_buffers", prefix, recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) for those directly inside."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules directly inside."""
        return (m for _, m in self.named_children())

    def modules(self) -> Iterator[Module]:
        """This module and all inside."""
        return (m for _, m in self.named_modules())

    def get_submodule(self, target: str) -> Module:
        """The module under a dotted name. Raises torch's AttributeError."""
        found: Any = self
        for part in target.split(".") if target else []:
            if not hasattr(found, part):
                raise AttributeError(f"{type(found).__name__} has no attribute `{part}`")
            found = getattr(found, part)
        return found

    def get_parameter(self, target: str) -> Parameter:
        """The parameter under a dotted name."""
        path, _, name = target.rpartition(".")
        return self.get_submodule(path)._parameters[name]  # type: ignore[return-value]

    get_buffer = get_parameter

    # modes and gradients

    def train(self, mode: bool = True) -> Module:
        """Training mode, or not, for all inside."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.__dict__["training"] = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Module:
        """Evaluation mode for all inside."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Ask for the gradients of all parameters, or no longer."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        for p in self.parameters():
            if p.gradient is not None:
                if set_to_none:
                    p.gradient = None
                else:
                    write(p.gradient, 0)

    def apply(self, fn: Callable[[Module], Any]) -> Module:
        """Call a function with every module inside, then with this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # dtypes and places

    def to(self, *args: Any, **kwargs: Any) -> Module:
        """All parameters and buffers in another floating dtype."""
        dtype = kwargs.get("dtype")
        for given in (*args, kwargs.get("device")):
            if isinstance(given, DType):
                dtype = given
            elif isinstance(given, Tensor):
                dtype = given.dtype
            elif given is not None and not isinstance(given, bool):
                refuse_unless_cpu(given)
        if dtype is not None:
            if dtype.kind != FLOATING:
                raise TypeError(
                    f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype!r}"
                )
            for t in (*self.parameters(), *self.buffers()):
                if t.array.dtype.kind == "f":
                    t.array = np.asarray(t.array).astype(dtype.numpy)
        return self

    def double(self) -> Module:
        """All in float64."""
        from explain.tape.dtypes import BY_NAME

        return self.to(BY_NAME["float64"])

    def float(self) -> Module:
        """All in float32."""
        from explain.tape.dtypes import BY_NAME

        return self.to(BY_NAME["float32"])

    def half(self) -> Module:
        """All in float16."""
        from explain.tape.dtypes import BY_NAME

        return self.to(BY_NAME["float16"])

    def type(self, dst_type: Any) -> Module:
        """All in another dtype."""
        return self.to(dst_type)

    def cpu(self) -> Module:
        """Where it is already."""
        return self

    def cuda(self, device: Any = None) -> Module:
        """There is no such device here. Raises torch's AssertionError."""
        raise AssertionError("Torch not compiled with CUDA enabled")

    def share_memory(self) -> Module:
        """The module itself."""
        return self

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to compile here."""

    # state

    def state_dict(self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """All parameters and buffers by name, without their graph."""
        found: OrderedDict[str, Any] = OrderedDict() if destination is None else destination
        for name, parameter in self._parameters.items():
            if parameter is not None:
                found[prefix + name] = parameter if keep_vars else parameter.detach()
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self.__dict__["_non_persistent"]:
                found[prefix + name] = buffer if keep_vars else buffer.detach()
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=found, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        return found

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> IncompatibleKeys:
        """Copy values by name. Raises torch's RuntimeError for names or sizes that do not fit."""
        own = self.state_dict(keep_vars=True)
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        faults = []
        if strict and unexpected:
            names = ", ".join(f'"{name}"' for name in unexpected)
            faults.append(f"Unexpected key(s) in state_dict: {names}. ")
        if strict and missing:
            names = ", ".join(f'"{name}"' for name in missing)
            faults.insert(0, f"Missing key(s) in state_dict: {names}. ")
        for name, target in own.items():
            if name in state_dict and state_dict[name].array.shape != target.array.shape:
                faults.append(
                    f"size mismatch for {name}: copying a param with shape {state_dict[name].shape} from checkpoint, the "
                    f"shape in current model is {target.shape}."
                )
        if faults:
            words = "\n\t".join(faults)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{words}")
        for name, target in own.items():
            if name in state_dict:
                write(target, state_dict[name].array)
        return IncompatibleKeys(missing, unexpected)

    def replaced_tensors(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Put other tensors in the place of parameters and buffers, by dotted name. Returns what was there."""
        before: dict[str, Tensor] = {}
        for dotted, value in given.items():
            path, _, name = dotted.rpartition(".")
            owner = self.get_submodule(path)
            table: dict[str, Any] = owner._parameters if name in owner._parameters else owner._buffers
            if name not in table:
                raise KeyError(f"{dotted} is neither a parameter nor a buffer of this module")
            before[dotted] = table[name]
            table[name] = value
        return before

    # hooks

    def register_forward_hook(self, hook: Callable[..., Any], **options: Any) -> RemovableHandle:
        """The hook sees what went in and came out, and may replace it."""
        return _hooked(self._forward_hooks, hook)

    def register_forward_pre_hook(self, hook: Callable[..., Any], **options: Any) -> RemovableHandle:
        """The hook sees what goes in, and may replace it."""
        return _hooked(self._forward_pre_hooks, hook)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """The hook sees (gradients of the inputs, gradients of the outputs) of the module."""

        def watch(module: Module, args: Any, out: Any) -> Any:
            inputs = [t for t in args if isinstance(t, Tensor) and t.tracked]
            arrived: dict[str, Any] = {}
            outs = [out] if isinstance(out, Tensor) else [t for t in out if isinstance(t, Tensor)]
            for t in outs:
                if t.tracked:
                    t.register_hook(lambda g: arrived.__setitem__("out", (g,)))
            if not inputs:
                return out
            entry = inputs[0]
            entry.register_hook(lambda g: hook(module, (g,), arrived.get("out", (wrap(np.float32(0)),))) and None)
            return out

        return self.register_forward_hook(watch)

    # words

    def extra_repr(self) -> str:
        """What stands in the parentheses of the printed form."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr().split("\n") if self.extra_repr() else []
        children = []
        for name, module in self._modules.items():
            children.append(f"({name}): {module!r}")
        text = f"{self._get_name()}("
        if children:
            body = "\n".join([*extra, *children])
            return text + "\n  " + body.replace("\n", "\n  ") + "\n)"
        if len(extra) == 1:
            return text + extra[0] + ")"
        if extra:
            return text + "\n  " + "\n  ".join(extra) + "\n)"
        return text + ")"


def _hooked(table: dict[int, Any], hook: Any) -> RemovableHandle:
    handle = RemovableHandle(table)
    table[handle.id] = hook
    return handle


def _type_name(value: Any) -> str:
    return "torch.FloatTensor" if isinstance(value, Tensor) else type(value).__name__
