import threading

from gunicorn.workers.sync import SyncWorker


class ShopWorker(SyncWorker):
    def init_process(self):
        self.over = threading.Event()
        threading.Thread(target=self.over.wait, name="prices", daemon=True).start()
        super().init_process()

    def run(self):
        try:
            super().run()
        finally:
            self.over.set()
            self.log.info("the prices of worker %s are no longer kept", self.pid)
