"""The vectors of `vectors/adapter`."""

import adapter_bad
import adapter_bad_sections
import adapter_ok
from adapter_file import body, facts, seal
from vector import pack


def vectors():
    """Yields (file name, bytes)."""
    for name, comment, f in adapter_ok.accepted():
        data = seal(body(f))
        yield name, pack({"expect": "ok", "comment": comment, **facts(f, data)}, data)
    for name, rule, comment, data in (*adapter_bad.CASES, *adapter_bad_sections.CASES):
        yield name, pack({"expect": adapter_bad.CLASS[rule], "rule": rule, "comment": comment}, data)
