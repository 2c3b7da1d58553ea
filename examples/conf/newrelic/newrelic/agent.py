import os
import threading

started_in = None


def initialize(config_file):
    global started_in
    with open(config_file) as file:
        assert "license_key" in file.read()
    started_in = os.getpid()
    threading.Thread(target=threading.Event().wait, name="NR-Harvest", daemon=True).start()


def register_application(timeout):
    assert started_in == os.getpid()
