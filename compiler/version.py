"""What this compiler calls itself in the files it writes."""

VERSION = "0.1.0"
PRODUCER = f"onnx-terrace {VERSION}"
