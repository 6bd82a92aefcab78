"""The Dialect protocol: reading and writing one wire format, and the values read from it.

Pure: bytes in, values out. Money, routing and proxy use a wire format only through this protocol.
`Call.dialect` names the dialect in which a backend's answer comes.

Between a client's format and a backend's:

| client's format | request | answer |
| --- | --- | --- |
| the backend's own | the bytes pass, but for the model's name | the bytes pass |
| the hub's (`dialects/hub/`) | translated by the provider | translated by the provider |
| another | `Bridge.to_hub`, then as a request in the hub's format | as an answer in the hub's
  format, judged as such, then written anew by `Bridge.writer` |

So a dialect knows its own format and the hub's, and no third; and nothing is translated twice where
the formats are the same. `providers.prepared` does the third row, for every provider.
"""
