"""What every program of ours does around its work: errors become one line and an exit code."""

import os
import sys
from collections.abc import Callable

from synfin.errors import EXIT_FAILED, EXIT_OK, SynfinError


def run(main: Callable[[list[str]], int], argv: list[str], prog: str) -> int:
    """Call `main(argv)` as a program: its errors become one line and an exit code, a closed pipe a quiet end."""
    # numpy's BLAS, which nobody here calls, starts a thread for each core: half of the CPU time of `import numpy`, and
    # threads that a sensor's no_new_privs does not reach.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        code = int(main(argv))
        sys.stdout.flush()
    except SynfinError as error:
        if "--debug" in argv:
            raise
        sys.stderr.write(f"{prog}: {error}\n")
        return error.exit_code
    except BrokenPipeError:
        _forget_output()  # whoever read us has enough (`| head`)
        return EXIT_OK
    except OSError as error:  # most of all a full disk behind standard output
        if "--debug" in argv:
            raise
        _forget_output()
        sys.stderr.write(f"{prog}: {error}\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130
    return code


def _forget_output() -> None:
    """Send what Python would flush at exit nowhere: it has no other place to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
