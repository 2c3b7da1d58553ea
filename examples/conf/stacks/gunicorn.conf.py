# What did the worker do when its time was up? These hooks have been copied through many repositories.
import sys
import threading
import traceback

workers = 1
timeout = 2


def worker_int(worker):
    worker.log.info("worker received INT or QUIT signal")


def worker_abort(worker):
    worker.log.info("worker received SIGABRT signal")
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    lines = []
    for ident, stack in sys._current_frames().items():
        lines.append(f"# Thread: {names.get(ident, '')}({ident})")
        for filename, number, name, line in traceback.extract_stack(stack):
            lines.append(f'File: "{filename}", line {number}, in {name}')
            if line:
                lines.append(f"  {line.strip()}")
    worker.log.error("\n".join(lines))
