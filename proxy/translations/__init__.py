"""Other vendors' request and answer shapes, translated to chat completions and back. One file a shape, all of it pure.

Each has `to_chat` (their request to a chat request), `from_chat` (a chat answer to theirs) and `StreamTranslator`
(chunk by chunk). Routes and network do not belong here.
"""
