"""Starts a real `strata up` and offers it to the tests. Root is needed: containers are real."""
import contextlib
import io
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import threading
import time

import pytest
import requests

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get('STRATA_BUILD', ROOT / 'build')).resolve()
FINAL = ('succeeded', 'failed', 'cancelled', 'lost')


def wait_for(condition, timeout=30, what='condition'):
    """The first true value of condition(), asked often until the deadline. No test asserts by it that something is quick:
    on a busy machine all is late, so it is never sooner than in half a minute."""
    timeout = max(timeout, 30)
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f'timed out after {timeout} s: {what}'
        threading.Event().wait(0.02)


PORTS = range(*(int(n) for n in os.environ.get('STRATA_PORTS', '12000-32000').split('-')))
given_ports = set()


def free_port():
    """Below the ephemeral range: a client that tries again while its server is down would otherwise be given
    that very port one day, connect to itself and keep it. Never one that was given before, nor one of the tests
    that run beside these (STRATA_PORTS): its server may just be down and come back."""
    if 2 * len(given_ports) > len(PORTS):
        given_ports.clear()
    while True:
        port = random.choice(PORTS)
        with socket.socket() as s:
            try:
                s.bind(('127.0.0.1', port))
            except OSError:
                continue
        if port not in given_ports:
            given_ports.add(port)
            return port


class Strata:
    """One server on a state directory of its own."""

    def __init__(self, state, build=BUILD, args=()):
        self.state = pathlib.Path(state)
        self.binary = str(build / 'strata')
        self.args = list(args)
        self.process = None
        self.port = 0
        self.listen = f'127.0.0.1:{free_port()}'  # fixed: a role that is started again takes the same
        self.state.parent.mkdir(parents=True, exist_ok=True)
        self.log_path = self.state.parent / (self.state.name + '.log')
        self._tokens = {}
        self._busybox = None

    # --- life ---

    def start(self, check=True):
        """Starts and waits until /readyz answers. The port stays the same."""
        offset = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, 'ab') as log:
            self.process = subprocess.Popen(
                [self.binary, 'up', '--state', str(self.state), '--listen', self.listen, *self.args],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        if not check:
            return self

        def ready():
            assert self.process.poll() is None, f'strata up ended:\n{self.log()[offset:]}'
            found = re.findall(r'server\.ready port=(\d+)', self.log()[offset:])
            return int(found[-1]) if found else None
        self.port = wait_for(ready, 60, 'strata up is ready')
        self.wait_ready()
        return self

    def wait_ready(self, timeout=30):
        def ok():
            try:
                return requests.get(self.url + '/readyz', timeout=5).status_code == 200
            except requests.RequestException:
                return False
        wait_for(ok, timeout, '/readyz answers 200')

    def stop(self, timeout=60):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout)
        return self.process.returncode if self.process else None

    def kill(self):
        """SIGKILL to supervisor, server and helper: power loss without the power."""
        for pid in self.pids().values():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(10)

    def end_containers(self):
        """What outlives a server by design: jobs, terminals and those who hold them. Only those of this state directory:
        its number is in the names of its cgroups, its path in the arguments of its shims."""
        if not self.state.exists():
            return
        at = self.state.stat()
        run = pathlib.Path(f'/run/strata-{at.st_dev & 0xffffff:06x}{at.st_ino & 0xffffffffff:010x}')
        own = [b'--state', str(self.state).encode()]

        def left():
            holders, held = [], []
            for proc in pathlib.Path('/proc').glob('[0-9]*'):
                try:
                    if f'/{run.name}/' in (proc / 'cgroup').read_text():
                        held.append(int(proc.name))
                    elif own == (proc / 'cmdline').read_bytes().split(b'\0')[2:4]:
                        holders.append(int(proc.name))
                except OSError:
                    continue
            return holders, held

        def end():
            holders, held = left()
            late = time.monotonic() > deadline
            for pid in [*held, *(holders if late else [])]:  # who holds one writes down how it ended, and goes
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not holders and not held
        deadline = time.monotonic() + 5
        wait_for(end, 20, 'the containers have ended')
        for top in [*pathlib.Path('/sys/fs/cgroup').glob(f'*/{run.name}'), pathlib.Path('/sys/fs/cgroup') / run.name]:
            for cgroup in sorted(top.glob('**/'), reverse=True):
                with contextlib.suppress(OSError):
                    cgroup.rmdir()
        shutil.rmtree(run, ignore_errors=True)

    def check_log(self):
        """What a sanitizer found is a failure, also where the supervisor started the role again."""
        report = re.search(r'^.*(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:)(.*\n?){30}',
                           self.log() if self.log_path.exists() else '', re.M)
        assert report is None, report.group()

    def pids(self):
        """{"up": pid, "server": pid, "helper": pid} of those that live."""
        found = {'up': self.process.pid}
        # /proc/PID/task/PID/children leaves some out while one of them ends (proc(5)), so look at who names it as parent.
        for path in pathlib.Path('/proc').glob('[0-9]*/stat'):
            try:
                pid, name, rest = re.match(r'(\d+) \((.*)\) (.*)', path.read_text(errors='replace'), re.S).groups()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(rest.split()[1]) == self.process.pid and name in ('strata-server', 'strata-helper'):
                found[name.removeprefix('strata-')] = int(pid)
        return found

    def log(self):
        return self.log_path.read_text(errors='replace') if self.log_path.exists() else ''

    # --- talking to it ---

    @property
    def url(self):
        return f'http://127.0.0.1:{self.port}'

    @property
    def admin_password(self):
        return (self.state / 'admin.password').read_text().strip()

    def token(self, user='admin', password=None):
        if user not in self._tokens:
            r = requests.post(self.url + '/api/v1/tokens', json={'name': 'tests'},
                              auth=(user, password or self.admin_password), timeout=30)
            assert r.status_code == 201, r.text
            self._tokens[user] = r.json()['token']
        return self._tokens[user]

    def api(self, method, path, user='admin', token=None, **kwargs):
        """A request as `user` (None: anonymous), or with a token."""
        headers = dict(kwargs.pop('headers', {}))
        if token or user:
            headers.setdefault('Authorization', 'Bearer ' + (token or self.token(user)))
        kwargs.setdefault('timeout', 60)
        return requests.request(method, self.url + path, headers=headers, **kwargs)

    def cli(self, *args, input=None, user='admin', timeout=120, check=False, env=None):
        full = {'PATH': os.environ['PATH'], 'HOME': str(self.state.parent), 'LC_ALL': 'C.UTF-8',
                'STRATA_SERVER': self.url, **(env or {})}
        if user:
            full['STRATA_TOKEN'] = self.token(user)
        r = subprocess.run([self.binary, *map(str, args)], input=input, env=full, capture_output=True,
                           text=not isinstance(input, bytes), timeout=timeout)
        assert not check or r.returncode == 0, f'strata {args}: {r.returncode}\n{r.stdout}\n{r.stderr}'
        return r

    # --- things ---

    def user(self, name, project=None, role=None, password='correct horse battery'):
        """A user with a role in a project; both are made when missing."""
        r = self.api('POST', '/api/v1/users', json={'name': name, 'password': password})
        assert r.status_code in (201, 409), r.text
        self.token(name, password)
        if project:
            self.project(project)
            r = self.api('PUT', f'/api/v1/projects/{project}/members/{name}', json={'role': role})
            assert r.status_code < 300, r.text
        return name

    def robot(self, project, name, permissions):
        """A robot of a project; its login stands for its secret wherever a user's name does."""
        self.project(project)
        r = self.api('POST', f'/api/v1/projects/{project}/robots', json={'name': name, 'permissions': permissions})
        assert r.status_code == 201, r.text
        self._tokens[r.json()['robot']['login']] = r.json()['secret']
        return r.json()['robot']['login']

    def project(self, name, public=False):
        r = self.api('POST', '/api/v1/projects', json={'name': name, 'public': public})
        assert r.status_code in (201, 409), r.text
        return name

    def volume(self, project, name):
        self.project(project)
        r = self.api('POST', f'/api/v1/projects/{project}/volumes', json={'name': name})
        assert r.status_code in (201, 409), r.text
        return name

    @property
    def busybox(self):
        """Reference of an image with busybox and its applets, pushed to project demo."""
        if self._busybox is None:
            self.project('demo')
            tar = self.state.parent / (self.state.name + '-busybox.tar')
            make_busybox_tar(tar)
            self.cli('image', 'push', 'demo/busybox:1', '--tar', tar, '--cmd', '/bin/sh', check=True)
            self._busybox = 'demo/busybox:1'
        return self._busybox

    def submit(self, project, spec, status=202, user='admin'):
        """Most commands of tests are process 1 and ignore SIGTERM: without a grace of its own, a job has a short one."""
        if isinstance(spec, dict):
            spec = {'grace': '1s', **spec}
        r = self.api('POST', f'/api/v1/projects/{project}/jobs', user=user, json=spec)
        assert r.status_code == status, f'{r.status_code} {r.text}'
        return r.json()

    def job(self, project, job_id):
        r = self.api('GET', f'/api/v1/projects/{project}/jobs/{job_id}')
        assert r.status_code == 200, r.text
        return r.json()

    def wait_job(self, project, job_id, states=FINAL, timeout=120):
        def done():
            job = self.job(project, job_id)
            return job if job['state'] in states else None
        return wait_for(done, timeout, f'job {job_id} is one of {states}')

    def job_log(self, project, job_id):
        r = self.api('GET', f'/api/v1/projects/{project}/jobs/{job_id}/log')
        assert r.status_code == 200, r.text
        return r.text

    def run_job(self, project, command, **spec):
        """Submits busybox with this command and waits for the end."""
        spec = {'image': self.busybox, 'command': command, 'resources': {'cpu': '100m', 'memory': '64Mi'}, **spec}
        return self.wait_job(project, self.submit(project, spec)['id'])


def make_busybox_tar(path):
    """A root file system: busybox-static with a link for every applet."""
    with open('/bin/busybox', 'rb') as f:
        program = f.read()
    applets = subprocess.run(['/bin/busybox', '--list'], capture_output=True, text=True, check=True).stdout.split()
    with tarfile.open(path, 'w') as tar:
        for name in ('bin', 'tmp', 'etc', 'root'):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if name == 'tmp' else 0o755
            tar.addfile(info)
        info = tarfile.TarInfo('bin/busybox')
        info.size, info.mode = len(program), 0o755
        tar.addfile(info, io.BytesIO(program))
        for applet in applets:
            if applet != 'busybox':
                info = tarfile.TarInfo('bin/' + applet)
                info.type, info.linkname = tarfile.SYMTYPE, 'busybox'
                tar.addfile(info)
        for name, text in (('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/tmp:/bin/sh\n'),
                           ('etc/group', 'root:x:0:\nada:x:1000:\n')):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text), 0o644
            tar.addfile(info, io.BytesIO(text.encode()))


def pytest_configure(config):
    if os.geteuid() != 0:
        pytest.exit('the tests start containers and need root: sudo make test', 1)


@pytest.fixture(scope='session')
def scratch():
    """A directory for everything of this run, gone afterwards. Outside of pytest's 0700 folders on
    purpose: only half of the tests; the server must also work in those."""
    path = pathlib.Path(tempfile.mkdtemp(prefix='strata-'))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope='session')
def strata(scratch):
    """The server that most tests share."""
    s = Strata(scratch / 'shared').start()
    yield s
    code = s.stop()
    s.end_containers()
    keep = os.environ.get('STRATA_TEST_LOGS')
    if keep:
        pathlib.Path(keep).mkdir(parents=True, exist_ok=True)
        shutil.copy(s.log_path, keep)
    s.check_log()
    assert code == 0, f'strata up ended with {code}'


@pytest.fixture
def own_strata(scratch):
    """A server of this test alone, for tests that kill, fill or break it."""
    made = []

    def make(args=(), state=None):
        path = state or pathlib.Path(tempfile.mkdtemp(prefix='own-', dir=scratch)) / 'state'
        made.append(Strata(path, args=args))
        return made[-1]
    yield make
    for s in made:
        if s.process and s.process.poll() is None:
            s.stop()
        s.end_containers()
        s.check_log()
