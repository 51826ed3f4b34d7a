from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

# Each registers its tries when it is imported.
from . import calls, descriptors, files, network, processes, sockets, terminals, tries  # noqa: F401

facts = json.loads(sys.argv[1])
if not facts["inside"]:
    network.SILENT = 6.0
for kind in sys.argv[2:]:
    chosen = [each for each in tries.TRIES if each.kind == kind]
    # What asks waits for answers, mostly in vain; what changes something must be alone.
    with ThreadPoolExecutor(16 if kind in (network.TARGETS, network.WAYS) else 1) as pool:
        for told in pool.map(lambda each: tries.make(each, facts), chosen):
            print(json.dumps(told), flush=True)
