"""What every worker process needs, imported once before they are forked."""

# ruff: noqa: E402
import gc

gc.set_threshold(100_000)  # before anything is loaded: many small objects and hardly a cycle

import explain.derivation.expression
import explain.derivation.program
import explain.render.document
import explain.site.markdown  # noqa: F401

gc.freeze()  # what was loaded is looked at by no worker
