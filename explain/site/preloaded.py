"""What every worker process needs, imported once before they are forked."""

import explain.derivation.expression
import explain.derivation.program
import explain.render.document
import explain.site.markdown  # noqa: F401
