"""Zope with a database in memory and one manager, `admin` with the password `secret`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import transaction
import Zope2
from Zope2.Startup.run import make_wsgi_app
from ZPublisher.httpexceptions import HTTPExceptionHandler

CONFIGURATION = """
instancehome {home}
debug-mode off
<zodb_db main>
  <mappingstorage>
  </mappingstorage>
  mount-point /
</zodb_db>
"""


def factory():
    home = Path(tempfile.mkdtemp(prefix="zope-"))
    configuration = home / "zope.conf"
    configuration.write_text(CONFIGURATION.format(home=home))
    application = make_wsgi_app({}, str(configuration))
    root = Zope2.app()
    root.acl_users.userFolderAddUser("admin", "secret", ["Manager"], [])
    transaction.commit()
    root._p_jar.close()
    return HTTPExceptionHandler(application)
