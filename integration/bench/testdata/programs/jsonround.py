"""Documents to JSON text and back, by the C accelerator and in pure Python."""
import json
import json.decoder
import json.encoder
import json.scanner


def document(n):
    return {
        "id": n,
        "name": f"document {n} \u00e9\u4e2d",
        "tags": [f"t{n * i % 97}" for i in range(8)],
        "nested": {"list": [[i, i * 0.25, None, i % 2 == 0] for i in range(12)], "empty": {}},
    }


def slow_loads(text):
    """What json.loads does without its accelerator."""
    decoder = json.JSONDecoder()
    decoder.parse_string = json.decoder.py_scanstring
    decoder.scan_once = json.scanner.py_make_scanner(decoder)
    return decoder.decode(text)


def slow_dumps(value):
    return "".join(json.JSONEncoder(indent=1, sort_keys=True).iterencode(value))


def main():
    documents = [document(n) for n in range(1000)]
    size = 0
    for _ in range(12):
        text = json.dumps(documents, sort_keys=True)
        size += len(text)
        documents = json.loads(text)
    for d in documents[:400]:
        text = slow_dumps(d)
        size += len(text)
        if slow_loads(text) != d:
            raise SystemExit("a document is not what it was")
    print(size, documents[-1])


main()
