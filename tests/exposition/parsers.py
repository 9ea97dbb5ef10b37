"""Reads an OpenMetrics page and a text 0.0.4 page with prometheus_client's parsers and compares their samples."""

import sys

try:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
    from prometheus_client.parser import text_string_to_metric_families as classic
except ImportError:
    print("no module prometheus_client")
    sys.exit(77)


def samples(families):
    found = {}
    for family in families:
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"twice: {key}"
            found[key] = float(sample.value)
    return found


def read(path):
    with open(path, encoding="utf-8", newline="") as page:
        return page.read()


modern = list(openmetrics(read(sys.argv[1])))
exemplars = sum(sample.exemplar is not None for family in modern for sample in family.samples)
modern, plain = samples(modern), samples(classic(read(sys.argv[2])))
assert modern.keys() == plain.keys(), modern.keys() ^ plain.keys()
different = {key: (modern[key], plain[key]) for key in modern if modern[key] != plain[key]}
assert not different, different
print(f"{len(modern)} samples, {exemplars} exemplars")
