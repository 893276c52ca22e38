"""A test vector: `key: value` lines, an empty line, bytes."""


def pack(headers, payload):
    """The bytes of a vector file."""
    lines = []
    for key, value in headers.items():
        text = str(value)
        assert text and "\n" not in text and ": " not in key, key
        lines.append(f"{key}: {text}\n")
    return "".join(lines).encode("utf-8") + b"\n" + payload


def unpack(data):
    """The headers and the bytes of a vector file."""
    head, _, payload = data.partition(b"\n\n")
    return dict(line.split(": ", 1) for line in head.decode("utf-8").split("\n")), payload
