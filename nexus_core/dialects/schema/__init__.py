"""JSON Schema and tool names in each provider's dialect, both ways. Pure.

`reading` brings a schema of any draft into one form, a file per dialect writes it, and `calls`
keeps what a request's tools are called here and there. A schema that a provider can't say in full
is loosened and described in words, so that one unusual tool never ends a session.
"""
