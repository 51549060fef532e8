"""A shell in a running job: over WebSocket as Kubernetes' clients speak it, never more than the job itself may, gone with
whoever opened it."""
import contextlib
import fcntl
import io
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import tarfile
import termios
import threading
import time
import urllib.parse

import pytest
import requests
import websocket

from conftest import BUILD, wait_for
from test_c50_jobs import push_image

JOBS = '/api/v1/projects/demo/jobs'
V4, V5 = 'v4.channel.k8s.io', 'v5.channel.k8s.io'
MIB = 1 << 20
IN, OUT, ERR, STATUS, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
# Waits without holding a processor, ends at once on SIGTERM.
WAIT = ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 1000 & wait $!; done']


class Shell:
    """A client of the channel protocol."""

    def __init__(self, strata, job, *command, user='admin', tty=False, stdin=True, protocol=V5, project='demo', headers=(),
                 query=(), token=None, origin=None):
        params = [('command', c) for c in command] + [('tty', str(tty).lower()), ('stdin', str(stdin).lower()), *query]
        url = (strata.url.replace('http', 'ws') + f'/api/v1/projects/{project}/jobs/{job}/exec?'
               + urllib.parse.urlencode(params))
        headers = list(headers)
        if user or token:
            headers.append('Authorization: Bearer ' + (token or strata.token(user)))
        self.ws = websocket.create_connection(url, timeout=20, header=headers, subprotocols=[protocol] if protocol else None,
                                              origin=origin, suppress_origin=origin is None)
        self.deadline = time.monotonic() + 40
        self.out = {OUT: b'', ERR: b''}
        self.status = self.close_code = self.close_reason = None

    def send(self, data, channel=IN):
        self.ws.send_binary(bytes([channel]) + (data if isinstance(data, bytes) else data.encode()))

    def resize(self, width, height):
        self.send(json.dumps({'Width': width, 'Height': height}), RESIZE)

    def step(self):
        """One message; False at the end. Pings do not count: they come for ever."""
        assert time.monotonic() < self.deadline, f'no end: {self.out}'
        opcode, data = self.ws.recv_data(control_frame=True)
        if opcode in (websocket.ABNF.OPCODE_PING, websocket.ABNF.OPCODE_PONG):
            return True
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            self.close_code = int.from_bytes(data[:2], 'big')
            self.close_reason = data[2:].decode()
            return False
        assert opcode == websocket.ABNF.OPCODE_BINARY
        if data[0] == STATUS:
            self.status = json.loads(data[1:])
        else:
            self.out[data[0]] += data[1:]
        return True

    def until(self, text):
        """Reads on until `text` was printed; what came before and it are taken out."""
        text = text.encode()
        while text not in self.out[OUT]:
            assert self.step(), (self.status, self.out)
        before, _, self.out[OUT] = self.out[OUT].partition(text)
        return (before + text).decode()

    def end(self):
        while self.step():
            pass
        self.ws.close()
        return self

    @property
    def code(self):
        if self.status['status'] == 'Success':
            return 0
        assert self.status['reason'] == 'NonZeroExitCode', self.status
        return int(self.status['details']['causes'][0]['message'])


def start_job(strata, command=WAIT, project='demo', user='admin', **spec):
    spec = {'name': 'shells', 'image': strata.busybox, 'command': command, 'resources': {'cpu': '500m', 'memory': '256Mi'}, **spec}
    job = strata.submit(project, spec, user=user)
    return strata.wait_job(project, job['id'], ('running',))['id']


def busybox_layer(strata):
    assert strata.busybox
    return (strata.state.parent / (strata.state.name + '-busybox.tar')).read_bytes()


def cancel(strata, job, project='demo'):
    strata.api('POST', f'/api/v1/projects/{project}/jobs/{job}/cancel')
    return strata.wait_job(project, job)


@pytest.fixture(scope='module')
def job(strata):
    found = start_job(strata, env={'FOO': 'bar baz'}, workdir='/tmp')
    yield found
    cancel(strata, found)


def processes(text):
    """Host ids of processes whose command line has `text`, without us."""
    found = []
    for path in pathlib.Path('/proc').glob('[0-9]*/cmdline'):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b'\0')
            if text.encode() in words and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
    return found


def refusal(strata, job, *args, status=None, **kwargs):
    """The error of a handshake that must be refused."""
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        Shell(strata, job, *args, **kwargs)
    if status:
        assert refused.value.status_code == status, refused.value
    return refused.value.status_code


def why(strata, path, status, **kwargs):
    r = strata.api('GET', path, **kwargs)
    assert r.status_code == status, r.text
    return r.json()['error']['message']


# --- pipes ---

def test_a_command_has_its_output_its_errors_and_its_exit_code_apart(strata, job):
    for protocol in (V4, V5):
        sh = Shell(strata, job, 'sh', '-c', 'echo out; echo err >&2; exit 7', protocol=protocol, stdin=False).end()
        assert sh.out == {OUT: b'out\n', ERR: b'err\n'}
        assert sh.code == 7
        assert sh.status == {'metadata': {}, 'status': 'Failure', 'message': 'exit code 7', 'reason': 'NonZeroExitCode',
                             'details': {'causes': [{'reason': 'ExitCode', 'message': '7'}]}}
        assert (sh.close_code, sh.close_reason) == (1000, 'exit code 7')


def test_success_and_signals_are_told_as_kubernetes_does(strata, job):
    assert Shell(strata, job, 'true').end().status == {'metadata': {}, 'status': 'Success'}
    killed = Shell(strata, job, 'sh', '-c', 'kill -9 $$').end()
    assert killed.code == 137 and 'SIGKILL' in killed.status['message']


def test_input_ends_where_its_channel_is_closed(strata, job):
    sh = Shell(strata, job, 'cat')
    sh.send(b'one\n')
    sh.send(b'\0\xfftwo')
    sh.send(b'\0', CLOSE)
    sh.send(b'too late')
    assert sh.end().out[OUT] == b'one\n\0\xfftwo' and sh.code == 0


def test_without_stdin_it_reads_the_end_of_file_at_once(strata, job):
    sh = Shell(strata, job, 'wc', '-c', stdin=False)
    assert sh.end().out[OUT] == b'0\n'


def test_streams_that_are_not_asked_for_are_dropped(strata, job):
    sh = Shell(strata, job, 'sh', '-c', 'echo out; echo err >&2', query=[('stderr', 'false')]).end()
    assert sh.out == {OUT: b'out\n', ERR: b''}
    sh = Shell(strata, job, 'sh', '-c', 'echo out; echo err >&2', query=[('stdout', 'false')]).end()
    assert sh.out == {OUT: b'', ERR: b'err\n'}


# --- what the process is ---

IDENTITY = r'''grep -E "^(Uid|Gid|Groups|Cap.*|NoNewPrivs|Seccomp|Umask):" /proc/self/status; cat /proc/self/oom_score_adj
cat /proc/self/cgroup; cat /proc/self/limits; for n in user pid ipc uts mnt cgroup net; do readlink /proc/self/ns/$n; done
pwd; env | grep -vE "^(SHLVL|OLDPWD|_|TERM)=" | sort'''


@pytest.mark.parametrize('user', ['', 'ada'])
def test_it_is_what_the_jobs_own_process_is_and_never_more(strata, user):
    layer = busybox_layer(strata)
    image = push_image(strata, 'demo/who', 'u' + user, layer, User=user, Env=['PATH=/bin', 'A=from image'])
    job = start_job(strata, ['sh', '-c', f'({IDENTITY}) > /tmp/mine; echo done; exec sleep 1000'], image=image, workdir='/tmp',
                    env={'B': 'a"b\'c\n$d ü'})
    wait_for(lambda: 'done' in strata.job_log('demo', job), what='the job looked at itself')
    for tty in (False, True):
        sh = Shell(strata, job, 'sh', '-c', f'({IDENTITY}) > /tmp/theirs; diff /tmp/mine /tmp/theirs && echo SAME; id -un', tty=tty).end()
        assert 'SAME' in sh.out[OUT].decode(), sh.out
        assert (user or 'root') in sh.out[OUT].decode()
    cancel(strata, job)


def test_a_terminal_has_a_type_and_is_real(strata, job):
    sh = Shell(strata, job, 'sh', '-c', 'tty; echo $TERM; test -t 0 && test -t 1 && test -t 2 && echo all', tty=True).end()
    assert re.sub(r'\r', '', sh.out[OUT].decode()) == '/dev/pts/0\nxterm-256color\nall\n'


def test_it_counts_against_the_jobs_memory(strata):
    job = start_job(strata, resources={'cpu': '500m', 'memory': '64Mi'})
    sh = Shell(strata, job, 'tail', '/dev/zero').end()
    assert sh.code == 137
    assert strata.job('demo', job)['state'] == 'running'
    cancel(strata, job)


# --- a terminal ---

def test_a_shell_at_a_terminal_is_resized_and_interrupted(strata, job):
    sh = Shell(strata, job, tty=True)
    sh.send('stty size; echo a-$((1+1))\n')
    assert '24 80' in sh.until('a-2\r\n')
    sh.resize(132, 43)
    sh.send('stty size; echo b-$((1+1))\n')
    assert '43 132' in sh.until('b-2\r\n')
    sh.send('sleep 86400\n')
    wait_for(lambda: processes('86400'), what='sleep runs')
    sh.send(b'\x03')
    sh.send('echo code-$?\n')
    assert 'code-130' in sh.until('code-130')
    sh.send('exit 3\n')
    assert sh.end().code == 3
    sh = Shell(strata, job, 'sh', '-c', 'trap "echo resized; exit 5" WINCH; echo ready; while :; do sleep 0.1; done', tty=True)
    sh.until('ready')
    sh.resize(90, 30)
    sh.until('resized')
    assert sh.end().code == 5


def test_ctrl_d_and_a_closed_channel_end_a_shell(strata, job):
    sh = Shell(strata, job, tty=True)
    sh.until('# ')  # before it reads its terminal itself what was typed may be dropped
    sh.send(b'\x04')
    assert sh.end().code == 0
    sh = Shell(strata, job, tty=True)
    sh.until('# ')
    sh.send(b'\0', CLOSE)
    assert sh.end().code == 0


def test_the_shell_is_the_first_that_the_image_has(strata):
    layer = busybox_layer(strata)
    out = io.BytesIO(layer)
    with tarfile.open(fileobj=out, mode='a') as tar:
        info = tarfile.TarInfo('bin/bash')
        text = b'#!/bin/sh\necho this is bash\n'
        info.size, info.mode = len(text), 0o755
        tar.addfile(info, io.BytesIO(text))
    job = start_job(strata, image=push_image(strata, 'demo/with-bash', '1', out.getvalue(), Env=['PATH=/bin']))
    assert Shell(strata, job, stdin=False).end().out[OUT] == b'this is bash\n'
    cancel(strata, job)


def test_an_image_without_a_shell_says_so(strata):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as tar:
        info = tarfile.TarInfo('sleep')
        program = pathlib.Path('/bin/busybox').read_bytes()
        info.size, info.mode = len(program), 0o755
        tar.addfile(info, io.BytesIO(program))
    job = start_job(strata, ['/sleep', '1000'], image=push_image(strata, 'demo/scratch', '1', out.getvalue()))
    sh = Shell(strata, job, tty=True).end()
    assert sh.status['message'] == ('the image has no shell (no /bin/bash, no /bin/sh): give a command that it has')
    assert sh.close_code == 1000 and 'no shell' in sh.close_reason
    cancel(strata, job)


def test_a_command_that_is_not_there_is_told_with_its_name(strata, job):
    sh = Shell(strata, job, 'no-such-program').end()
    assert 'no-such-program' in sh.status['message'] and 'not found' in sh.status['message']
    sh = Shell(strata, job, '/etc/passwd', tty=True).end()
    assert '/etc/passwd' in sh.status['message'] and 'may not be executed' in sh.status['message']


# --- much of it ---

def rss_kib(pid):
    if 'san' in BUILD.name:
        return 0  # a sanitizer keeps what was freed for a while: nothing to be seen
    return int(re.search(r'VmRSS:\s+(\d+)', pathlib.Path(f'/proc/{pid}/status').read_text()).group(1))


@pytest.mark.parametrize('tty', [False, True])
def test_a_gibibyte_of_output_arrives_whole_and_does_not_grow_the_server(own_strata, tty):
    s = own_strata().start()
    job = start_job(s, resources={'cpu': '2', 'memory': '256Mi'})
    server = s.pids()['server']
    size = 1 << 30 if not tty else 128 * MIB
    command = f'head -c {size} /dev/zero' if not tty else f'stty raw; head -c {size} /dev/zero'
    sh = Shell(s, job, 'sh', '-c', command, tty=tty, stdin=False)
    # Nobody reads for now: it stops, and nothing piles up.
    before = rss_kib(server)
    wait_for(lambda: settled(job_cpu(s, job)), 60, 'the program waits for its reader')
    got, most = 0, rss_kib(server)
    while True:
        opcode, data = sh.ws.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            break
        if data[0] == OUT:
            got += len(data) - 1
        else:
            sh.status = json.loads(data[1:])
        if got % (64 * MIB) < len(data):
            most = max(most, rss_kib(server))
    assert got == size and sh.code == 0
    assert most - before < 16 * 1024, f'{before} KiB grew to {most} KiB'
    cancel(s, job)


def job_cpu(s, job):
    return s.job('demo', job)['usage']['cpu_usec']


def settled(value, seen={}):
    """True when the same value came twenty times in a row."""
    seen['n'] = seen.get('n', 0) + 1 if seen.get('value') == value else 0
    seen['value'] = value
    return seen['n'] >= 20


@pytest.mark.parametrize('command', ['cat > /dev/null', 'wc -c'])
def test_a_hundred_mebibytes_of_input_arrive(strata, job, command):
    sh = Shell(strata, job, 'sh', '-c', command)
    block = bytes(MIB - 1)

    def feed():
        for _ in range(100):
            sh.send(block)
        sh.send(b'\0', CLOSE)
    feeder = threading.Thread(target=feed)
    feeder.start()
    sh.end()
    feeder.join()
    assert sh.code == 0
    assert sh.out[OUT] == (b'%d\n' % (100 * len(block)) if command.startswith('wc') else b'')


def test_input_that_nobody_reads_stops_its_sender_and_not_the_others(own_strata):
    s = own_strata().start()
    job = start_job(s)
    server = s.pids()['server']
    before = rss_kib(server)
    sh = Shell(s, job, 'sleep', '86410')
    sh.ws.settimeout(3)
    sent = 0
    with pytest.raises((websocket.WebSocketTimeoutException, TimeoutError, BlockingIOError)):
        while sent < 200 * MIB:
            sh.send(bytes(256 * 1024))
            sent += 256 * 1024
    assert sent < 32 * MIB
    assert rss_kib(server) - before < 16 * 1024
    assert Shell(s, job, 'echo', 'alive').end().out[OUT] == b'alive\n'
    sh.ws.sock.close()
    wait_for(lambda: not processes('86410'), what='the process has ended with its client')
    cancel(s, job)


# --- its end ---

def test_pings_of_who_does_not_read_cost_no_memory(own_strata):
    """Each would be answered: whoever does not read the answers is not heard either."""
    s = own_strata().start()
    s.project('demo')
    job = start_job(s)
    shell = Shell(s, job, 'cat')
    pid, sent = s.pids()['server'], 0
    before = rss_kib(pid)
    sock = shell.ws.sock
    sock.setblocking(False)
    ping = bytes([0x89, 0x80, 0, 0, 0, 0]) * 4096
    until = time.monotonic() + 30
    while sent < 1_000_000 * 6 and time.monotonic() < until:
        if not select.select([], [sock], [], 2)[1]:
            break  # it does not listen any more
        with contextlib.suppress(BlockingIOError):
            sent += sock.send(ping[sent % 6:])
    assert rss_kib(pid) - before < 20 * 1024
    other = Shell(s, job, 'echo', 'still here')
    assert other.end().out[OUT] == b'still here\n'
    shell.ws.sock.close()


def marked(strata, job, mark, **kwargs):
    """A shell with a process that can be recognised, and one behind it that ignores SIGHUP."""
    sh = Shell(strata, job, 'sh', '-c', f'trap "" HUP; sleep {mark} & sleep {mark}', **kwargs)
    wait_for(lambda: len(processes(mark)) == 2, what='both sleep')
    return sh


@pytest.mark.parametrize('tty', [False, True])
def test_who_goes_away_takes_his_processes_along(strata, job, tty):
    sh = marked(strata, job, '86401', tty=tty)
    sh.ws.sock.close()
    wait_for(lambda: not processes('86401'), what='the processes have ended')
    sh = marked(strata, job, '86402', tty=tty)
    sh.ws.close()
    wait_for(lambda: not processes('86402'), what='the processes have ended')
    assert strata.job('demo', job)['state'] == 'running'


def test_what_left_the_session_belongs_to_the_job(strata, job):
    sh = Shell(strata, job, 'sh', '-c', 'setsid sleep 86403 >/dev/null 2>&1 & sleep 86404', tty=True)
    wait_for(lambda: processes('86403') and processes('86404'), what='both run')
    sh.ws.close()
    wait_for(lambda: not processes('86404'), what='the session has ended')
    assert len(processes('86403')) == 1
    os.kill(processes('86403')[0], signal.SIGKILL)
    wait_for(lambda: not processes('86403'), what='it has ended')


def test_the_end_of_the_job_is_told_as_the_reason(strata):
    job = start_job(strata)
    shells = [Shell(strata, job, tty=True), Shell(strata, job, 'sleep', '1000')]
    assert cancel(strata, job)['state'] == 'cancelled'
    for sh in shells:
        sh.end()
        assert sh.status['reason'] == 'Gone' and sh.status['message'] == f'job {job} has ended, and with it this shell'
        assert sh.close_code == 1000 and job in sh.close_reason


@pytest.mark.parametrize('role', ['server', 'helper'])
def test_a_killed_role_ends_shells_and_not_jobs(own_strata, role):
    s = own_strata().start()
    job = start_job(s)
    shells = [marked(s, job, '86405', tty=True), Shell(s, job, 'sleep', '86406')]
    keepers = processes_named('strata-keeper')
    os.kill(s.pids()[role], signal.SIGKILL)
    for sh in shells:
        with contextlib.suppress(websocket.WebSocketException, OSError):
            sh.end()
        assert sh.close_code in (None, 1001)
    wait_for(lambda: not processes('86405') and not processes('86406'), what='the shells have ended')
    wait_for(lambda: not keepers & processes_named('strata-keeper'), what='nobody keeps them')
    s.wait_ready()
    assert wait_for(lambda: s.job('demo', job), what='the job')['state'] == 'running'
    assert Shell(s, job, 'echo', 'again').end().out[OUT] == b'again\n'
    cancel(s, job)


def processes_named(name):
    found = set()
    for path in pathlib.Path('/proc').glob('[0-9]*/comm'):
        with contextlib.suppress(OSError):
            if path.read_text().strip() == name:
                found.add(int(path.parent.name))
    return found


def test_a_killed_keeper_is_told(own_strata):
    s = own_strata().start()
    job = start_job(s)
    before = processes_named('strata-keeper')
    sh = Shell(s, job, 'cat')
    (keeper,) = processes_named('strata-keeper') - before
    os.kill(keeper, signal.SIGKILL)
    assert sh.end().status['reason'] == 'InternalError'
    assert Shell(s, job, 'true').end().code == 0
    cancel(s, job)


def test_a_stopped_server_says_goodbye(own_strata):
    s = own_strata().start()
    job = start_job(s)
    sh = Shell(s, job, tty=True)
    stopper = threading.Thread(target=s.stop)
    stopper.start()
    sh.end()
    stopper.join()
    assert sh.close_code == 1001
    s.start()
    assert s.job('demo', job)['state'] == 'running'
    cancel(s, job)


# --- who may ---

def test_only_those_who_may_open_one(strata, job):
    for user, role, status in (('x-guest', 'guest', 403), ('x-developer', 'developer', None), ('x-maintainer', 'maintainer', None)):
        strata.user(user, 'demo', role)
        if status:
            refusal(strata, job, 'id', user=user, status=status)
        else:
            assert Shell(strata, job, 'echo', user, user=user).end().out[OUT].decode() == user + '\n'
    strata.user('x-outsider', 'elsewhere', 'developer')
    refusal(strata, job, user='x-outsider', status=404)
    refusal(strata, job, user=None, status=401)
    refusal(strata, job, user='x-outsider', project='elsewhere', status=404)


def test_a_token_needs_the_scope(strata, job):
    made = strata.api('POST', '/api/v1/tokens', json={'name': 'narrow', 'scopes': ['job:read', 'project:read']}).json()
    refusal(strata, job, token=made['token'], status=403)
    made = strata.api('POST', '/api/v1/tokens', json={'name': 'shells', 'scopes': ['job:exec']}).json()
    assert Shell(strata, job, 'true', token=made['token']).end().code == 0


def test_every_shell_is_in_the_audit_with_its_command(strata, job):
    Shell(strata, job, 'echo', 'for the audit', 'ü').end()
    entries = strata.api('GET', '/api/v1/audit', params={'q': 'for the audit'}).json()['items']
    assert [(e['user'], e['method'], e['path'], e['project'], e['status']) for e in entries] == [
        ('admin', 'GET', f'{JOBS}/{job}/exec echo for the audit ü', 'demo', 101)]
    strata.user('x-guest', 'demo', 'guest')
    refusal(strata, job, user='x-guest', status=403)
    assert wait_for(lambda: strata.api('GET', '/api/v1/audit', params={'user': 'x-guest', 'q': '/exec'}).json()['items'],
                    what='the refusal is written')[0]['status'] == 403


def login(strata, user='admin', password=None):
    s = requests.Session()
    r = s.post(strata.url + '/api/v1/login', json={'user': user, 'password': password or strata.admin_password})
    assert r.status_code < 300, r.text
    return s


def test_a_page_of_another_site_cannot_open_one_with_the_users_cookie(strata, job):
    cookie = 'Cookie: strata_session=' + login(strata).cookies['strata_session']
    for origin in ('http://evil.example', 'null', strata.url.replace('127.0.0.1', 'localhost')):
        refusal(strata, job, 'id', user=None, headers=[cookie], origin=origin, status=403)
    sh = Shell(strata, job, 'echo', 'mine', user=None, headers=[cookie], origin=strata.url)
    assert sh.end().out[OUT] == b'mine\n'


def test_losing_the_right_ends_the_shell_within_seconds(strata, job):
    strata.user('x-leaver', 'demo', 'developer', 'correct horse battery')
    made = strata.api('POST', '/api/v1/tokens', user='x-leaver', json={'name': 'gone soon'}).json()
    session = login(strata, 'x-leaver', 'correct horse battery')
    cookie = 'Cookie: strata_session=' + session.cookies['strata_session']
    csrf = session.get(strata.url + '/api/v1/me').json()['csrf']
    by_token = marked(strata, job, '86407', token=made['token'])
    by_session = Shell(strata, job, 'sleep', '86408', user=None, headers=[cookie])
    by_member = Shell(strata, job, 'sleep', '86409', user='x-leaver', tty=True)
    stays = Shell(strata, job, 'cat')
    assert strata.api('DELETE', f'/api/v1/tokens/{made["id"]}', user='x-leaver').status_code == 204
    assert session.post(strata.url + '/api/v1/logout', headers={'X-CSRF-Token': csrf}).status_code < 300
    for sh in (by_token, by_session):
        began = time.monotonic()
        sh.end()
        assert (sh.status['reason'], sh.close_code) == ('Forbidden', 1008)
        assert time.monotonic() - began < 16
    by_member.send('x')
    assert strata.api('DELETE', '/api/v1/projects/demo/members/x-leaver').status_code == 204
    assert by_member.end().status['reason'] == 'Forbidden'
    wait_for(lambda: not any(processes(p) for p in ('86407', '86408', '86409')), what='their processes have ended')
    stays.send(b'still here')
    stays.send(b'\0', CLOSE)
    assert stays.end().out[OUT] == b'still here'


# --- what cannot be ---

def test_a_job_that_does_not_run_says_what_to_do(strata, job):
    big = strata.submit('demo', {'name': 'waits', 'image': strata.busybox, 'command': ['true'],
                                 'resources': {'cpu': '100m', 'memory': '64Mi'}})
    done = strata.wait_job('demo', big['id'])
    path = f'{JOBS}/{done["id"]}/exec'
    assert 'has ended (succeeded)' in why(strata, path, 409) and 'log' in why(strata, path, 409)
    assert 'there is no job' in why(strata, f'{JOBS}/j-00000000/exec', 404)
    refusal(strata, done['id'], status=409)


def test_a_job_in_the_queue_says_so(own_strata):
    s = own_strata().start()
    node = s.api('GET', '/api/v1/nodes').json()['items'][0]
    all_of_it = {'cpu': f'{node["cpu_milli"]}m', 'memory': '64Mi'}
    first = start_job(s, resources=all_of_it)
    second = s.submit('demo', {'name': 'second', 'image': s.busybox, 'command': WAIT, 'resources': all_of_it})
    assert 'waits in the queue' in why(s, f'{JOBS}/{second["id"]}/exec', 409)
    cancel(s, second['id'])
    cancel(s, first)


def test_what_is_no_shells_handshake_is_refused_clearly(strata, job):
    path = f'{JOBS}/{job}/exec'
    assert 'WebSocket' in why(strata, path, 400)
    for protocol in (None, 'chat', 'v3.channel.k8s.io', 'base64.channel.k8s.io'):
        refusal(strata, job, protocol=protocol, status=400)
    r = strata.api('GET', path, headers={'Connection': 'Upgrade', 'Upgrade': 'websocket', 'Sec-WebSocket-Version': '13',
                                         'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA=='})
    assert r.status_code == 400 and 'v5.channel.k8s.io' in r.json()['error']['message']
    assert 'neither true nor false' in why(strata, path + '?tty=perhaps', 400)
    assert 'at least' in why(strata, path + '?stdout=false&stderr=false', 400)
    assert '%00' in why(strata, path + '?command=a%00b', 400)
    assert 'no name' in why(strata, path + '?command=', 400)
    refusal(strata, job, 'x' * 9000, status=414)


@pytest.mark.parametrize('frame,code', [
    (b'', 1008), (b'\x09x', 1008), (b'\x01out', 1008), (b'\x03{}', 1008), (b'\xff\x00\x00', 1008), (b'\x04', 1008),
    (b'\x04{"Width":1e99,"Height":1}', 1008), (b'\x04{"Width":70000,"Height":1}', 1008), (b'\x04{"Width":-1,"Height":1}', 1008),
    (b'\x04' + b'[' * 200, 1008), (b'\x04' + b' ' * 100000, 1008), (b'\x04{"Width":1,"Width":2,"Height":1}', 1008)])
def test_hostile_messages_end_the_shell_and_nothing_else(strata, job, frame, code):
    sh = Shell(strata, job, 'cat', tty=len(frame) % 2 == 0)
    sh.ws.send_binary(frame)
    sh.end()
    assert (sh.status['reason'], sh.close_code) == ('BadRequest', code), sh.status
    assert strata.job('demo', job)['state'] == 'running'


def test_text_is_refused_and_a_close_is_not_in_v4(strata, job):
    sh = Shell(strata, job, 'cat')
    sh.ws.send('text')
    assert sh.end().close_code == 1003
    sh = Shell(strata, job, 'cat', protocol=V4)
    sh.send(b'\0', CLOSE)
    assert sh.end().close_code == 1008
    sh = Shell(strata, job, 'cat')
    sh.ws.send_binary(bytes(MIB + 2))
    assert sh.end().close_code == 1009


def test_a_size_without_a_terminal_is_ignored(strata, job):
    sh = Shell(strata, job, 'cat')
    sh.resize(0, 0)
    sh.resize(65535, 65535)
    sh.send(b'\0', CLOSE)
    assert sh.end().code == 0


def test_shells_are_counted(strata, job):
    other = start_job(strata)
    third = start_job(strata)
    strata.user('x-many', 'demo', 'developer')
    shells = [Shell(strata, other, 'cat', user='x-many') for _ in range(16)]
    assert refusal(strata, other, user='x-many') == 429
    assert refusal(strata, other) == 429
    shells += [Shell(strata, third, 'cat', user='x-many') for _ in range(16)]
    assert refusal(strata, job, user='x-many') == 429
    assert Shell(strata, job, 'true').end().code == 0
    shells[0].ws.close()
    wait_for(lambda: opens(strata, other, 'x-many'), what='there is room again')
    for sh in shells[1:]:
        sh.ws.close()
    cancel(strata, other)
    cancel(strata, third)


def opens(strata, job, user):
    try:
        return Shell(strata, job, 'true', user=user).end().code == 0
    except websocket.WebSocketBadStatusException:
        return False


# --- strata job exec ---

def test_the_cli_keeps_output_errors_input_and_exit_code_apart(strata, job):
    r = strata.cli('job', 'exec', job, '-p', 'demo', '--', 'sh', '-c', 'cat; echo err >&2; exit 9', input=b'\0in\xff')
    assert (r.returncode, r.stdout, r.stderr) == (9, b'\0in\xff', b'err\n')
    r = strata.cli('job', 'exec', '-T', '-p', 'demo', job, 'ls', '/etc/passwd', input='')
    assert (r.returncode, r.stdout) == (0, '/etc/passwd\n')
    r = strata.cli('job', 'exec', '-p', 'demo', job, '--', 'sh', '-c', 'kill -9 $$', input='')
    assert r.returncode == 137
    r = strata.cli('job', 'exec', '-p', 'demo', job, '--', 'wc', '-c', input=bytes(40 * MIB))
    assert (r.returncode, r.stdout.strip()) == (0, b'%d' % (40 * MIB))
    r = strata.cli('job', 'exec', '-p', 'demo', job, '--', 'head', '-c', str(40 * MIB), '/dev/zero', input=b'')
    assert (r.returncode, len(r.stdout)) == (0, 40 * MIB)


def test_the_cli_says_what_is_wrong(strata, job):
    done = strata.run_job('demo', ['true'])['id']
    r = strata.cli('job', 'exec', '-p', 'demo', done)
    assert r.returncode == 73 and 'has ended (succeeded)' in r.stderr and 'request' in r.stderr
    r = strata.cli('job', 'exec', '-p', 'demo', 'j-00000000')
    assert r.returncode == 66
    r = strata.cli('job', 'exec', '-p', 'demo', job, 'nope', input='')
    assert r.returncode == 65 and '"nope" was not found in the image' in r.stderr
    r = strata.cli('job', 'exec', '-t', '-p', 'demo', job, input='')
    assert r.returncode == 65 and 'no terminal' in r.stderr
    r = strata.cli('job', 'exec', '-p', 'demo', job, user=None, input='')
    assert r.returncode == 77
    r = strata.cli('job', 'exec', '-p', 'demo', job, input='', env={'STRATA_SERVER': 'http://127.0.0.1:1'})
    assert r.returncode == 69


class Terminal:
    """The CLI at a terminal of this machine."""

    def __init__(self, strata, *args, size=(30, 100)):
        self.primary, secondary = pty.openpty()
        self.resize(*size)
        env = {'PATH': os.environ['PATH'], 'HOME': str(strata.state.parent), 'STRATA_SERVER': strata.url,
               'STRATA_TOKEN': strata.token(), 'TERM': 'xterm'}
        self.process = subprocess.Popen([strata.binary, *args], stdin=secondary, stdout=secondary, stderr=secondary, env=env,
                                        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.secondary = secondary
        self.seen = b''

    def resize(self, rows, columns):
        fcntl.ioctl(self.primary, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def type(self, text):
        os.write(self.primary, text.encode())

    def until(self, text):
        deadline = time.monotonic() + 30
        while text.encode() not in self.seen:
            ready, _, _ = select.select([self.primary], [], [], max(0, deadline - time.monotonic()))
            assert ready, f'no {text!r} in {self.seen!r}'
            self.seen += os.read(self.primary, 65536)
        before, _, self.seen = self.seen.partition(text.encode())
        return before.decode()

    def end(self):
        code = self.process.wait(30)
        os.close(self.secondary)
        os.close(self.primary)
        return code


def test_the_cli_is_a_terminal(strata, job):
    t = Terminal(strata, 'job', 'exec', '-p', 'demo', job)
    t.until('# ')
    assert not termios.tcgetattr(t.secondary)[3] & (termios.ICANON | termios.ECHO)
    t.type('stty size; echo one-$((1+1))\r')
    assert '30 100' in t.until('one-2\r\n')
    t.resize(41, 77)
    t.type('stty size; echo two-$((1+1))\r')
    assert '41 77' in t.until('two-2\r\n')
    t.type('sleep 86411\r')
    wait_for(lambda: processes('86411'), what='sleep runs')
    t.type('\x03')
    t.type('echo code-$?-\r')
    t.until('code-130-')
    t.type('exit 4\r')
    t.until('exit 4')
    t.process.wait(30)
    assert termios.tcgetattr(t.secondary)[3] & termios.ICANON
    assert t.end() == 4


def test_a_pager_that_stands_still_cuts_nothing(strata, job):
    """The CLI goes on answering the server, and holds it back."""
    reading, writing = os.pipe()
    env = {'PATH': os.environ['PATH'], 'HOME': str(strata.state.parent), 'STRATA_SERVER': strata.url, 'STRATA_TOKEN': strata.token()}
    p = subprocess.Popen([strata.binary, 'job', 'exec', '-p', 'demo', job, '--', 'head', '-c', str(64 * MIB), '/dev/zero'],
                         stdin=subprocess.DEVNULL, stdout=writing, env=env)
    os.close(writing)
    assert len(os.read(reading, 4096)) == 4096
    server = strata.pids()['server']
    before = rss_kib(server)
    wait_for(lambda: settled(job_cpu(strata, job)), 60, 'the program waits')
    assert rss_kib(p.pid) < 40 * 1024 and rss_kib(server) - before < 8 * 1024
    with os.fdopen(reading, 'rb') as rest:
        assert sum(len(b) for b in iter(lambda: rest.read(MIB), b'')) == 64 * MIB - 4096
    assert p.wait(30) == 0


def test_a_cli_that_is_killed_takes_its_shell_along(strata, job):
    t = Terminal(strata, 'job', 'exec', '-p', 'demo', job, '--', 'sh', '-c', 'echo ready; exec sleep 86412')
    t.until('ready')
    t.process.send_signal(signal.SIGTERM)
    t.process.wait(30)
    assert termios.tcgetattr(t.secondary)[3] & termios.ICANON
    assert t.end() == 128 + signal.SIGTERM
    wait_for(lambda: not processes('86412'), what='the process has ended')


def test_the_cli_speaks_tls(own_strata, scratch):
    cert, key = scratch / 'exec-cert.pem', scratch / 'exec-key.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext',
                    'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert], check=True, capture_output=True)
    scratch.chmod(0o755)
    key.chmod(0o644)
    s = own_strata().start()
    job, token = start_job(s), s.token()
    s.stop()
    s.args = ['--set', f'net.tls_cert={cert}', '--set', f'net.tls_key={key}']
    s.start(check=False)
    # libcurl takes its authorities from this file alone; ours stands there for the CLI only.
    trust = f'mount --bind {cert} /etc/ssl/certs/ca-certificates.crt && exec "$@"'

    def cli(*args, **kwargs):
        return subprocess.run(['unshare', '-m', 'sh', '-c', trust, 'sh', s.binary, *args], capture_output=True, timeout=60,
                              env={'PATH': os.environ['PATH'], 'HOME': str(scratch), 'STRATA_SERVER': f'https://{s.listen}',
                                   'STRATA_TOKEN': token}, **kwargs)
    wait_for(lambda: cli('job', 'show', '-p', 'demo', job).returncode == 0, what='it serves TLS')
    r = cli('job', 'exec', '-p', 'demo', job, '--', 'sh', '-c', 'cat; exit 3', input=bytes(4 * MIB))
    assert (r.returncode, r.stdout) == (3, bytes(4 * MIB)), r.stderr
    # A page under plain HTTP is anybody's who is on the line: not with the cookie of the one under TLS.
    r = requests.post(f'https://{s.listen}/api/v1/login', json={'user': 'admin', 'password': s.admin_password}, verify=str(cert))
    url = f'wss://{s.listen}{JOBS}/{job}/exec?command=true'
    for origin, status in ((f'http://{s.listen}', 403), (f'https://{s.listen}', 101)):
        with contextlib.ExitStack() as stack:
            if status != 101:
                stack.enter_context(pytest.raises(websocket.WebSocketBadStatusException))
            websocket.create_connection(url, timeout=20, sslopt={'ca_certs': str(cert)}, origin=origin, subprotocols=[V5],
                                        cookie='strata_session=' + r.cookies['strata_session']).close()
    assert cli('job', 'cancel', '-p', 'demo', job).returncode == 0


def test_a_slow_start_holds_up_nobody(strata, job):
    """Many at once: the helper forks and goes on."""
    shells = []

    def one(i):
        shells.append(Shell(strata, job, 'sh', '-c', f'echo {i}', stdin=False).end())
    threads = [threading.Thread(target=one, args=(i,)) for i in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(int(sh.out[OUT]) for sh in shells) == list(range(12))
