"""Starts the programs that the tests and benches of the HTTP engine talk to: our http-test-server, and
Debian's nginx as the one to be compared with. Both on free ports, everything else in a scratch folder."""
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get('STRATA_BUILD', ROOT / 'build')).resolve()
NGINX = '/usr/sbin/nginx'

NGINX_CONF = '''
daemon off; worker_processes {workers}; pid {dir}/nginx.pid; error_log {dir}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; sendfile on; tcp_nopush on; server_tokens off;
  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
  uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  server {{
    listen 127.0.0.1:{port}{tls};
    {certs}
    default_type application/json;
    location = /hello {{ return 200 '{{"hello":"world"}}\\n'; }}
    location /file {{ alias {file}; }}
    location / {{ return 200 'ignored\\n'; }}
  }}
}}
'''


def wait_for(condition, timeout=20, what='condition'):
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f'timed out after {timeout} s: {what}'
        threading.Event().wait(0.01)


class Engine:
    """http-test-server; see the top of http_server.c."""

    def __init__(self, *args, wrapper=()):
        self.process = subprocess.Popen(
            [*wrapper, str(BUILD / 'tests' / 'http-test-server'), *map(str, args)],
            stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith('port '), f'http-test-server did not start: {line!r}'
        self.port = int(line.split()[1])
        self.scheme = 'https' if '--cert' in args else 'http'

    @property
    def pid(self):
        return self.process.pid

    @property
    def url(self):
        return f'{self.scheme}://127.0.0.1:{self.port}'

    def connect(self, timeout=20):
        return socket.create_connection(('127.0.0.1', self.port), timeout)

    def stop(self, timeout=20):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def cpu_ticks(self):
        return cpu_ticks(self.pid)

    def rss_bytes(self):
        return memory(self.pid, 'VmRSS')

    def peak_bytes(self):
        return memory(self.pid, 'VmHWM')

    def threads(self):
        return len(os.listdir(f'/proc/{self.pid}/task'))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()


class Nginx:
    def __init__(self, folder, file='/dev/null', workers=1, cert=None, key=None):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        conf = folder / 'nginx.conf'
        conf.write_text(NGINX_CONF.format(
            dir=folder, port=self.port, workers=workers, file=file, tls=' ssl' if cert else '',
            certs=f'ssl_certificate {cert}; ssl_certificate_key {key};' if cert else ''))
        self.process = subprocess.Popen([NGINX, '-e', str(folder / 'error.log'), '-c', str(conf)])
        self.scheme = 'https' if cert else 'http'
        wait_for(self.answers, what='nginx answers')

    def answers(self):
        try:
            self.connect(1).close()
            return True
        except OSError:
            return False

    @property
    def url(self):
        return f'{self.scheme}://127.0.0.1:{self.port}'

    def connect(self, timeout=20):
        return socket.create_connection(('127.0.0.1', self.port), timeout)

    def pids(self):
        children = pathlib.Path(f'/proc/{self.process.pid}/task/{self.process.pid}/children').read_text()
        return [int(p) for p in children.split()]

    def cpu_ticks(self):
        return sum(cpu_ticks(p) for p in self.pids())

    def rss_bytes(self):
        return sum(memory(p, 'VmRSS') for p in self.pids())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def cpu_ticks(pid):
    fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return int(fields[11]) + int(fields[12])


def memory(pid, key):
    for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith(key + ':'):
            return int(line.split()[1]) * 1024
    return 0


class Answers:
    """Reads answers from a socket, one after the other, with their framing."""

    def __init__(self, sock):
        self.sock = sock
        self.data = b''

    def fill(self):
        try:
            piece = self.sock.recv(65536)
        except ConnectionResetError:
            piece = b''
        self.data += piece
        return bool(piece)

    def next(self, head_only=False):
        """(status, headers, body), or None at the end of the connection. 100 is skipped."""
        while b'\r\n\r\n' not in self.data:
            if not self.fill():
                return None
        head, self.data = self.data.split(b'\r\n\r\n', 1)
        lines = head.decode('latin-1').split('\r\n')
        status = int(lines[0].split()[1])
        headers = {k.lower(): v.strip() for k, v in (line.split(':', 1) for line in lines[1:])}
        if status == 100:
            return self.next(head_only)
        if head_only or status in (204, 304, 101):
            return status, headers, b''
        if headers.get('transfer-encoding') == 'chunked':
            return status, headers, self.chunks()
        size = headers.get('content-length')
        while len(self.data) < int(size) if size is not None else self.fill():
            if size is not None and not self.fill():
                return None
        size = len(self.data) if size is None else int(size)
        body, self.data = self.data[:size], self.data[size:]
        return status, headers, body

    def line(self):
        while b'\r\n' not in self.data:
            if not self.fill():
                raise EOFError('the answer was cut')
        line, self.data = self.data.split(b'\r\n', 1)
        return line

    def chunks(self):
        body = bytearray()
        while True:
            size = int(self.line(), 16)
            while len(self.data) < size + 2:
                if not self.fill():
                    raise EOFError('the answer was cut')
            body += self.data[:size]
            assert self.data[size:size + 2] == b'\r\n'
            self.data = self.data[size + 2:]
            if size == 0:
                return bytes(body)

    def all(self):
        found = []
        while (answer := self.next()) is not None:
            found.append(answer)
        return found
