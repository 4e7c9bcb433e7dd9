"""Run every benchmark of this folder, one after the other: `make bench`.

python -m bench.run [NAME ...] [-- OPTIONS]   all, or those named; what follows -- goes to each

    python -m bench.run lstm -- --quick

A benchmark compares side by side in one process and prints ratios; it judges nothing. Let nothing else run beside it:
two busy threads next to another process make every figure worthless.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(argv: list[str]) -> int:
    cut = argv.index("--") if "--" in argv else len(argv)
    names, options = argv[:cut], argv[cut + 1 :]
    here = sorted(path.stem for path in HERE.glob("*.py") if path.stem != "run" and not path.stem.startswith("_"))
    unknown = sorted(set(names) - set(here))
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(here)}", file=sys.stderr)
        return 2
    env = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}  # each sets its own threads
    load = os.getloadavg()[0]
    print(
        f"{os.cpu_count()} processors, load {load:.1f}"
        + (": something else runs; do not trust this" if load > 0.7 else "")
    )
    status = 0
    for name in names or here:
        print(f"\n== {name}", flush=True)
        status = max(
            status,
            subprocess.run([sys.executable, "-m", f"bench.{name}", *options], cwd=HERE.parent, env=env).returncode,
        )
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
