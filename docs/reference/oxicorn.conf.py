# A conf file for Oxicorn, which is Python. Each setting stands at its default behind a comment sign:
# take the sign away where another value is wanted.

# Config File

# What to serve, as MODULE[:NAME], where the command line does not say.
# wsgi_app = None

# Server Socket

# An address to listen on; the option can be repeated.
# bind = ['127.0.0.1:8000']

# How many connections the kernel holds for each listener until a worker takes them.
# backlog = 2048

# Worker Processes

# How many worker processes there are.
# workers = 1

# How a worker runs the application: sync, gthread, gevent or asgi.
# worker_class = 'sync'

# How many threads of each worker call the application.
# threads = 1

# How many connections one worker holds at the same time, idle ones included.
# worker_connections = 1000

# After how many requests a worker is replaced; 0 is never.
# max_requests = 0

# The most that is added at random to max_requests, for each worker anew.
# max_requests_jitter = 0

# Whether a worker goes when its successor serves (overlap), or before that is started (one-by-one).
# worker_replacement = 'overlap'

# How Python's garbage collector works in workers: tuned to serving, or as Python has it (python).
# gc = 'tuned'

# After how many seconds without progress a worker is killed and replaced; 0 is never.
# timeout = 30

# After how many seconds a worker that has not booted is killed and replaced; 0 leaves it to timeout.
# worker_boot_timeout = 0

# After how many seconds a request is answered with 504 in place of the application; 0 is never.
# request_timeout = 0

# Other limits than request_timeout for paths that begin with PREFIX; 0 is none.
# request_timeout_paths = []

# How many seconds a worker that has to go may take to finish its requests.
# graceful_timeout = 30

# How many seconds an idle connection is kept open for its next request; 0 closes it at once.
# keepalive = 75

# The event loop of asgi workers: auto, asyncio or uvloop.
# asgi_loop = 'auto'

# Whether ASGI applications get lifespan events: auto, on or off.
# asgi_lifespan = 'auto'

# How many seconds an ASGI application may run on after its client has left.
# asgi_disconnect_grace_period = 3

# Offer ASGI applications to send files for them (http.response.pathsend, http.response.zerocopysend).
# asgi_pathsend = False

# How many requests one worker answers at a time before it turns more away; 0 is unlimited.
# limit_concurrency = 0

# The longest WebSocket message in bytes; 0 is unlimited.
# websocket_max_message_size = 16777216

# How many seconds lie between two pings of the server on a WebSocket; 0 is never.
# ws_ping_interval = 20

# How many seconds a WebSocket client may be silent after a ping; 0 is unlimited.
# ws_ping_timeout = 20

# Whether WebSocket messages may be compressed (permessage-deflate): true or false.
# ws_per_message_deflate = True

# Security

# The longest request line in bytes; 0 is unlimited.
# limit_request_line = 4094

# The most fields (headers) that a request may have.
# limit_request_fields = 100

# The longest field (header) of a request in bytes, its name included.
# limit_request_field_size = 8190

# How many bytes of memory unfinished request heads may take over all connections of a worker; 0 is unlimited.
# limit_head_memory = 67108864

# The longest request body in bytes; 0 is unlimited.
# limit_request_body = 1073741824

# How many bytes of one response may wait on disk for a client that reads slowly; 0 is none.
# limit_response_spool = 268435456

# How many bytes of disk the temporary files of one worker may take; 0 is unlimited.
# limit_spool = 2147483648

# How many bytes of disk the temporary files of all workers may take together; 0 is unlimited.
# limit_spool_total = 8589934592

# How many seconds a client may take for a whole request head; 0 is unlimited.
# header_timeout = 10

# The longest silence in seconds while a request body is read; 0 is unlimited.
# body_timeout = 30

# The longest time in seconds in which a client takes nothing of its response; 0 is unlimited.
# send_timeout = 60

# Debugging

# Replace the workers when a source file changes.
# reload = False

# How changed files are noticed: auto, inotify or poll.
# reload_engine = 'auto'

# Another file, or pattern of files, that reload watches; the option can be repeated.
# reload_extra_files = []

# With reload, show the traceback of an application that cannot be imported to all clients.
# reload_show_errors = False

# Print every line of Python as it is executed.
# spew = False

# Server Mechanics

# Import the application once, before the workers are forked.
# preload_app = False

# Look like Gunicorn to applications that ask which server runs them.
# as_gunicorn = False

# Whether the kernel sends files.
# sendfile = None

# Open as many sockets on the same port as there are workers.
# reuse_port = False

# The directory to change to before the application is loaded.
# chdir = ''

# Detach from the terminal and run in the background.
# daemon = False

# A variable for the environment, as NAME=VALUE; the option can be repeated.
# raw_env = []

# The file that holds the arbiter's process id.
# pidfile = None

# The user, by name or number, whose rights workers run with.
# user = None

# The group, by name or number, whose rights workers run with.
# group = None

# The file mode mask of the server, which decides who may use its unix sockets.
# umask = 0

# The file mode of the server's unix sockets, which decides who may use them.
# socket_mode = None

# Give workers the other groups of user as well.
# initgroups = False

# The directory of request bodies that are too long to be kept in memory.
# tmp_upload_dir = None

# Directories to put in front of sys.path, divided by commas.
# pythonpath = None

# A PasteDeploy file, as FILE.ini[#SECTION], to load the application from.
# paste = None

# A variable for the PasteDeploy file, as NAME=VALUE; the option can be repeated.
# raw_paste_global_conf = []

# The path under which a proxy shows an ASGI application.
# root_path = ''

# Fields, and their values, with which a trusted proxy says that the client used https.
# secure_scheme_headers = {'X-FORWARDED-PROTOCOL': 'ssl', 'X-FORWARDED-PROTO': 'https', 'X-FORWARDED-SSL': 'on'}

# The proxies whose word on the client is believed: addresses and networks, divided by commas, or *.
# forwarded_allow_ips = '127.0.0.1,::1'

# Fields with an underscore in their name that a trusted proxy may set, divided by commas, or *.
# forwarder_headers = 'SCRIPT_NAME,PATH_INFO'

# What becomes of other fields with an underscore in their name: drop, refuse or dangerous.
# header_map = 'drop'

# Which version of the PROXY protocol clients speak first; the option alone is auto.
# proxy_protocol = 'off'

# The peers that may speak the PROXY protocol: addresses and networks, divided by commas, or *.
# proxy_allow_ips = '127.0.0.1,::1'

# What the listeners speak: http or uwsgi.
# protocol = 'http'

# The peers that may speak the uwsgi protocol: addresses and networks, divided by commas, or *.
# uwsgi_allow_ips = '127.0.0.1,::1'

# Accept fields that are folded over several lines.
# permit_obsolete_folding = False

# Accept fields with blanks between name and colon.
# strip_header_spaces = False

# Accept any token as a method.
# permit_unconventional_http_method = False

# Accept request lines with versions outside of HTTP/1.
# permit_unconventional_http_version = False

# Put methods in upper case.
# casefold_http_method = False

# Take the client's address from the X-Forwarded-For field of a trusted proxy.
# proxy_headers = False

# Whether responses get a Server field.
# server_header = True

# Whether responses get a Date field.
# date_header = True

# A field (header) for every response that does not have it, as NAME:VALUE; the option can be repeated.
# response_headers = []

# Call what is named, without arguments, to get the application.
# app_factory = False

# A file of variables for the environment, as NAME=VALUE lines.
# env_file = None

# Compress responses in these codings, divided by commas, the favourite first; the option alone is zstd,br,gzip.
# compress = ''

# The shortest body that is compressed, in bytes, where its length is known.
# compress_min_length = 500

# The media types that are compressed, divided by commas, as text/*; empty is texts, JSON, XML and their like.
# compress_types = ''

# Compress also with cookies below this path; the option can be repeated.
# compress_with_cookies = []

# Static Files

# Serve the files of a directory under a path, as /static/=path/to/static; the option can be repeated.
# static = []

# Serve Django's STATIC_ROOT under its STATIC_URL.
# static_root = False

# As --static, with the directory's index.html for page views that name no file; it can be repeated.
# spa = []

# Leave paths that begin so to the application, even below --spa; the option can be repeated.
# spa_except = []

# Send files below DIR that the application names with X-Accel-Redirect or X-Sendfile; the option can be repeated.
# sendfile_root = []

# Who answers where no file is: app (the application) or 404 (the server).
# static_missing = 'app'

# Where symbolic links may lead: beneath (within the directory) or anywhere.
# static_symlinks = 'beneath'

# How long clients may keep files without asking again, in seconds; 0 has them ask each time.
# static_max_age = 60

# The Cache-Control field of files whose name matches a pattern, as *.pdf=no-store; the option can be repeated.
# static_cache_control = []

# Server Mechanics

# The path at which the server itself says that it is alive, such as /healthz.
# health_path = None

# The path at which the server says whether it wants requests, where health_path is set.
# ready_path = '/readyz'

# How long the server serves on after TERM, before it stops.
# drain_delay = 0

# The hosts that are served, divided by commas; .example.com is all of a domain. Empty is all hosts.
# allowed_hosts = ''

# The host, with its port if it has one of its own, that requests for other hosts are redirected to.
# canonical_host = None

# While this file exists, every request is answered with 503 and its content.
# maintenance_file = None

# The file that is served at /.well-known/security.txt (RFC 9116).
# security_txt = None

# The file that is sent where the server itself answers with this status, as 503=busy.html; the option can be repeated.
# error_page = []

# How often each client may ask, as 20/s or /login=5/m,burst=3; the option can be repeated.
# rate_limit = []

# The field with which requests carry an id; the option alone is X-Request-ID.
# request_id = None

# Logging

# The file that gets a line for every request; - is standard output, nothing is no log.
# accesslog = None

# Keep access lines out of syslog.
# disable_redirect_access_to_syslog = False

# Colour what is shown on a terminal: levels, statuses, the banner.
# use_colors = None

# The shape of an access line.
# access_log_format = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'

# The shape of the lines of both logs: text, or JSON objects (json).
# log_format = 'text'

# The shape of the lines of the server's own log: text, or JSON objects (json).
# error_log_format = 'text'

# The file of the server's own log; - is standard error.
# errorlog = '-'

# The least severe lines of the server's own log: debug, info, warning, error or critical.
# loglevel = 'info'

# Send what the application prints to the server's own log.
# capture_output = False

# The class that writes both logs.
# logger_class = 'gunicorn.glogging.Logger'

# A file for logging.config.fileConfig.
# logconfig = None

# A dictionary for logging.config.dictConfig.
# logconfig_dict = {}

# A JSON file with a dictionary for logging.config.dictConfig.
# logconfig_json = None

# Where syslog listens: udp://HOST:PORT, tcp://HOST:PORT or unix://PATH.
# syslog_addr = 'udp://localhost:514'

# Send both logs to syslog.
# syslog = False

# The part of the program's name that syslog shows.
# syslog_prefix = None

# The facility under which syslog files the lines.
# syslog_facility = 'user'

# With daemon: keep standard output and error where they are redirected to.
# enable_stdio_inheritance = False

# Where statsd listens: HOST:PORT or unix://PATH. Nothing is no metrics.
# statsd_host = None

# Tags for every metric, divided by commas.
# dogstatsd_tags = ''

# What stands in front of every metric's name.
# statsd_prefix = ''

# Report the length of the accept queue as a metric, once a second.
# enable_backlog_metric = False

# Process Naming

# The name in brackets that process lists show for the server.
# proc_name = None

# The name in brackets where proc_name gives none.
# default_proc_name = 'gunicorn'

# Server Hooks

# Called in the arbiter before anything else happens: on_starting(server).
# def on_starting(server):
#     pass

# Called in the arbiter when it reloads: on_reload(server).
# def on_reload(server):
#     pass

# Called in the arbiter when it listens, before the first worker is forked: when_ready(server).
# def when_ready(server):
#     pass

# Called in the arbiter before it forks a worker: pre_fork(server, worker).
# def pre_fork(server, worker):
#     pass

# Called in a worker just after it was forked: post_fork(server, worker).
# def post_fork(server, worker):
#     pass

# Called in a worker when it has loaded the application: post_worker_init(worker).
# def post_worker_init(worker):
#     pass

# Called in a worker that gets SIGINT or SIGQUIT: worker_int(worker).
# def worker_int(worker):
#     pass

# Called in a worker that gets SIGABRT, which is how a timeout begins: worker_abort(worker).
# def worker_abort(worker):
#     pass

# Called in the process that becomes the new arbiter of an upgrade, before it does: pre_exec(server).
# def pre_exec(server):
#     pass

# Called in a worker before each request: pre_request(worker, req).
# def pre_request(worker, req):
#     pass

# Called in a worker after each request: post_request(worker, req, environ, resp).
# def post_request(worker, req, environ, resp):
#     pass

# Called in the arbiter when a worker has exited: child_exit(server, worker).
# def child_exit(server, worker):
#     pass

# Called in a worker that is about to exit: worker_exit(server, worker).
# def worker_exit(server, worker):
#     pass

# Called in the arbiter when the number of workers changes: nworkers_changed(server, new, old).
# def nworkers_changed(server, new, old):
#     pass

# Called in the arbiter just before it exits: on_exit(server).
# def on_exit(server):
#     pass

# SSL

# The private key of the server's certificate.
# keyfile = None

# The server's certificate, and those that vouch for it.
# certfile = None

# Whether clients show a certificate: 0 no, 1 if they like, 2 always.
# cert_reqs = 0

# The authorities whose word on clients counts.
# ca_certs = None

# Treat a TLS connection that ends without a goodbye as ended.
# suppress_ragged_eofs = True

# Ciphers up to TLS 1.2, in OpenSSL's notation.
# ciphers = None

# Which certificates of clients have been revoked.
# tls_crl_file = None

# How many seconds a client may take for the TLS handshake; 0 is unlimited.
# tls_handshake_timeout = 10

# Keys of session tickets that several servers share.
# tls_ticket_key_file = None

# HTTP/2

# The versions of HTTP that are offered, the favourite first: h1, h2.
# http_protocols = 'h2,h1'

# How clients may begin HTTP/2 without TLS.
# http2_cleartext = 'off'

# How many streams a connection may have open at the same time.
# http2_max_concurrent_streams = 100

# How many bytes a client may send on a new stream before it has to wait.
# http2_initial_window_size = 65535

# The longest frame in bytes.
# http2_max_frame_size = 16384

# The most bytes that the fields of a request may take; 0 is 1 MiB.
# http2_max_header_list_size = 65536

# Control

# An address for metrics, health and status over HTTP; the option can be repeated.
# admin_bind = []

# The Unix socket of the control interface, which gunicornc speaks.
# control_socket = None

# The file mode of the control socket.
# control_socket_mode = 384

# Open no control socket, although a path is given.
# control_socket_disable = False
