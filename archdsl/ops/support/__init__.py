"""What operators call and torch lacks, as real Python.

In: nothing; no other room imports these files, and none is needed to check a spec. Out: their text,
definition by definition, which the compiler writes into a module that uses it (`table.support`);
`torch`, `Tensor`, `nn`, `F` and `math` are what it may use. Everything can be scripted
(`torch.jit.script`) and traced (`torch.fx`): what branches on a tensor's size is a function that
fx takes as a whole.
"""
