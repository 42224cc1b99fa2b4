"""The static-site generator: a folder of Markdown with explain fences becomes a site that works without a server."""
