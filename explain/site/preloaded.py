"""What every worker process needs, imported once before they are forked."""

import gc

import explain.derivation.expression
import explain.derivation.program
import explain.render.document
import explain.site.markdown  # noqa: F401

gc.set_threshold(100_000)  # as where there is one process: many small objects and hardly a cycle
gc.freeze()  # what was loaded is looked at by no worker
