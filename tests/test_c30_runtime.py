"""Containers on this machine: crun under our shim, driven through runtime-driver (runtime_driver.c), so
below jobs and the API. Root is needed: containers are real."""
import errno
import json
import os
import pathlib
import queue
import random
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import BUILD, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='containers need root')

DRIVER = BUILD / 'tests' / 'runtime-driver'
CHAIN = 'a' * 64
SCRATCH_CHAIN = 'b' * 64
ID_BASE = 3_000_000_000
INSTANCE = f'test{os.getpid()}'
CGROUPS = pathlib.Path('/sys/fs/cgroup')


class Driver:
    """The server's end of the runtime and a helper, in one process that a test may kill."""

    def __init__(self, state):
        self.state = state
        self.counter = 0
        self.start()

    def start(self):
        self.replies, self.events = queue.Queue(), queue.Queue()
        self.log = open(self.state.parent / 'driver.log', 'ab')
        self.process = subprocess.Popen([DRIVER, INSTANCE], cwd=self.state, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        threading.Thread(target=self.read, args=(self.process, self.replies, self.events), daemon=True).start()

    @staticmethod
    def read(process, replies, events):
        for line in process.stdout:
            o = json.loads(line)
            (events if 'event' in o else replies).put(o)
        replies.put(None)

    def op(self, op, **fields):
        self.process.stdin.write(json.dumps({'op': op, **fields}) + '\n')
        self.process.stdin.flush()
        reply = self.replies.get(timeout=60)
        assert reply is not None, 'the driver ended'
        return reply

    def new_id(self):
        self.counter += 1
        return f'c{os.getpid()}-{self.counter}'

    def begin(self, *args, **spec):
        spec = {'id': self.new_id(), 'chains': [CHAIN], 'id_base': ID_BASE, 'args': list(args), **spec}
        reply = self.op('start', **spec)
        assert 'error' not in reply, reply
        return spec['id']

    def refuse(self, *args, **spec):
        """A start that fails: kind and message."""
        spec = {'id': self.new_id(), 'chains': [CHAIN], 'id_base': ID_BASE, 'args': list(args), **spec}
        reply = self.op('start', **spec)
        assert 'error' in reply, reply
        return reply['kind'], reply['error']

    def end(self, id, timeout=60):
        """Waits for the end of one container; events of others are dropped."""
        deadline = time.monotonic() + timeout
        while True:
            event = self.events.get(timeout=max(0.1, deadline - time.monotonic()))['event']
            if event['id'] == id:
                return event

    def run(self, *args, **spec):
        """(end, code, log) of a container that runs to its end and is removed."""
        id = self.begin(*args, **spec)
        status = self.end(id)
        log = self.output(id)
        assert self.op('remove', id=id).get('ok')
        assert set(os.listdir(self.state / 'jobs' / id)) == {'log', 'usage'}
        return status['end'], status['code'], log

    def sh(self, script, **spec):
        return self.run('/bin/sh', '-c', script, **spec)

    def output(self, id):
        return (self.state / 'jobs' / id / 'log').read_text(errors='replace')

    def list(self):
        return {s['id']: s for s in self.op('list')['items']}

    def shim(self, id):
        lines = (self.state / 'jobs' / id / 'shim').read_text().splitlines()[1:]
        return dict(line.split(' ', 1) for line in lines)

    def kill(self):
        """kill -9 of server and helper at once."""
        helper = self.op('helper_pid')['pid']
        os.kill(helper, signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    def quit(self):
        if self.process.poll() is None:
            for id, status in self.list().items():
                if status['running']:
                    self.op('signal', id=id, signal=9)
                    wait_for(lambda i=id: not self.list()[i]['running'], what=f'{id} ends')
                self.op('remove', id=id)
            self.process.stdin.close()
            self.process.wait(timeout=20)
        self.log.close()


def make_layer(state, chain, busybox):
    fs = state / 'rootfs' / chain / 'fs'
    fs.mkdir(parents=True)
    (state / 'rootfs' / chain / 'done').touch()
    if not busybox:
        shutil.copy('/bin/busybox', fs / 'busybox')
        return
    for d in ('bin', 'etc', 'tmp', 'home/joe'):
        (fs / d).mkdir(parents=True)
    (fs / 'tmp').chmod(0o1777)
    shutil.copy('/bin/busybox', fs / 'bin' / 'busybox')
    for applet in subprocess.run(['/bin/busybox', '--list'], capture_output=True, text=True).stdout.split():
        if applet != 'busybox':
            (fs / 'bin' / applet).symlink_to('busybox')
    (fs / 'etc' / 'passwd').write_text('root:x:0:0:root:/root:/bin/sh\njoe:x:1000:1000::/home/joe:/bin/sh\n')
    (fs / 'etc' / 'group').write_text('root:x:0:\njoe:x:1000:\nvideo:x:44:joe\n')
    (fs / 'bin' / 'garbage').write_bytes(b'\x7fELF garbage')
    (fs / 'bin' / 'no-interpreter').write_text('#!/no/such/interpreter\n')
    (fs / 'bin' / 'garbage').chmod(0o755)
    (fs / 'bin' / 'no-interpreter').chmod(0o755)
    (fs / 'bin' / 'not-executable').write_text('#!/bin/sh\n')


@pytest.fixture(scope='module')
def d(tmp_path_factory):
    state = tmp_path_factory.mktemp('runtime') / 'state'
    for sub in ('jobs', 'rootfs', 'volumes/v-1', 'volumes/v-2'):
        (state / sub).mkdir(parents=True)
    # Nobody but root may search the state directory: containers must work all the same.
    state.chmod(0o700)
    make_layer(state, CHAIN, True)
    make_layer(state, SCRATCH_CHAIN, False)
    for v in ('v-1', 'v-2'):
        os.chown(state / 'volumes' / v, ID_BASE, ID_BASE)
    driver = Driver(state)
    yield driver
    driver.quit()
    assert not list((state / 'jobs').glob('*/scratch')), 'scratch directories are left'
    assert not [p for p in CGROUPS.glob(f'*/strata-{INSTANCE}/*') if p.is_dir()], 'cgroups are left'
    assert not os.listdir(f'/run/strata-{INSTANCE}/crun'), 'crun state is left'
    for p in sorted(CGROUPS.glob(f'*/strata-{INSTANCE}')) + [CGROUPS / f'strata-{INSTANCE}']:
        if p.is_dir():
            p.rmdir()
    shutil.rmtree(f'/run/strata-{INSTANCE}')


# --- how it ends ---

def test_exit_codes_and_signals_are_told_apart(d):
    assert d.sh('echo out; echo err >&2; exit 42') == ('exited', 42, 'out\nerr\n')
    assert d.run('/bin/true')[:2] == ('exited', 0)
    assert d.sh('exit 137')[:2] == ('exited', 137)
    id = d.begin('/bin/sleep', '1000')
    assert d.op('signal', id=id, signal=9)['ok']
    status = d.end(id)
    assert (status['end'], status['code']) == ('signaled', 9)
    assert status['started_ms'] <= status['ended_ms']
    assert d.op('remove', id=id)['ok']


def test_a_signal_reaches_the_command_and_kill_ends_every_process(d):
    id = d.begin('/bin/sh', '-c', 'trap "echo got; exit 5" TERM; sleep 1000 & echo ready; wait')
    wait_for(lambda: 'ready' in d.output(id))
    assert d.op('signal', id=id, signal=15)['ok']
    assert d.end(id)['code'] == 5
    assert d.output(id) == 'ready\ngot\n'
    assert d.op('signal', id=id, signal=15)['ok'], 'gone already is success'
    assert d.op('signal', id='never-there', signal=15)['ok']
    assert d.op('remove', id=id)['ok']
    assert d.op('remove', id=id)['ok'], 'removing twice is success'


def test_out_of_memory_is_told_apart(d):
    hog = 'dd if=/dev/zero of=/dev/null bs=200M count=1'
    spec = {'memory_bytes': 32 << 20}
    assert d.run('/bin/dd', 'if=/dev/zero', 'of=/dev/null', 'bs=200M', 'count=1', **spec)[:2] == ('oom', 9)
    assert d.sh(hog + '; exit $?', **spec)[0] == 'oom', 'a shell that passes 137 on'
    assert d.sh(hog + '; exit 0', **spec)[:2] == ('exited', 0), 'a command that coped'
    id = d.begin('/bin/sh', '-c', 'exit 0', **spec)
    assert d.end(id)['memory_peak_bytes'] > 0
    d.op('remove', id=id)


def test_our_own_kill_is_no_out_of_memory(d):
    """A child was killed for memory earlier; what ends the container is our signal."""
    id = d.begin('/bin/sh', '-c', 'dd if=/dev/zero of=/dev/null bs=200M count=1; echo coped; sleep 1000', memory_bytes=32 << 20)
    wait_for(lambda: 'coped' in d.output(id))
    d.op('kill_helper')
    assert d.op('signal', id=id, signal=9)['ok']
    status = d.end(id)
    assert (status['end'], status['code']) == ('signaled', 9)
    assert d.op('remove', id=id)['ok'] and set(os.listdir(d.state / 'jobs' / id)) == {'log', 'usage'}


def test_out_of_memory_after_our_signal_is_still_that(d):
    id = d.begin('/bin/sh', '-c', 'trap "exec dd if=/dev/zero of=/dev/null bs=200M count=1" TERM; echo ready; '
                 'while :; do sleep 0.05; done', memory_bytes=32 << 20)
    wait_for(lambda: 'ready' in d.output(id))
    assert d.op('signal', id=id, signal=15)['ok']
    assert d.end(id)['end'] == 'oom'
    d.op('remove', id=id)


def test_what_it_used_is_reported(d):
    id = d.begin('/bin/sh', '-c', 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 1000')
    wait_for(lambda: d.op('stats', id=id)['status']['cpu_usec'] > 50_000)
    status = d.op('stats', id=id)['status']
    assert status['running'] and status['memory_peak_bytes'] > 0 and status['ended_ms'] == 0
    d.op('signal', id=id, signal=9)
    assert d.end(id)['cpu_usec'] > 50_000
    d.op('remove', id=id)
    assert d.op('stats', id='never-there')['kind'] == 'not_found'


# --- starts that fail ---

@pytest.mark.parametrize('command, words', [
    ('no-such', 'was not found in the image'), ('/bin/no-such', 'was not found in the image'),
    ('/bin/not-executable', 'may not be executed'), ('/bin/garbage', 'another architecture'),
    ('/bin/no-interpreter', 'interpreter'), ('/bin', 'no program')])
def test_a_command_that_cannot_run_is_the_users_mistake(d, command, words):
    id = d.new_id()
    kind, message = d.refuse(command, id=id)
    assert kind == 'invalid' and words in message and command in message
    status = d.list()[id]
    assert not status['running'] and status['code'] in (126, 127) and words in status['detail']
    assert d.output(id) == ''
    assert d.op('remove', id=id)['ok']


def test_an_unknown_user_is_the_users_mistake(d):
    id = d.new_id()
    assert d.refuse('/bin/true', user='ann', id=id) == ('invalid', 'user ann is not in /etc/passwd of the image')
    d.op('remove', id=id)


def test_an_id_is_used_once(d):
    id = d.begin('/bin/true')
    d.end(id)
    assert d.refuse('/bin/true', id=id)[0] == 'conflict'
    assert d.op('remove', id=id)['ok']
    assert d.refuse('/bin/true', id=id)[0] == 'conflict', 'its log is still there'
    assert id not in d.list() and set(os.listdir(d.state / 'jobs' / id)) == {'log', 'usage'}


def test_a_running_container_is_not_removed(d):
    id = d.begin('/bin/sleep', '1000')
    assert d.op('remove', id=id)['kind'] == 'conflict'
    d.op('signal', id=id, signal=9)
    d.end(id)
    assert d.op('remove', id=id)['ok']


def test_removals_beside_each_other_leave_nothing(d):
    for _ in range(3):
        id = d.begin('/bin/sh', '-c', 'i=0; while [ $i -lt 2000 ]; do echo $i > /f$i; i=$((i+1)); done')
        assert d.end(id)['code'] == 0
        assert d.op('forget', id=id).get('ok')
        assert not (d.state / 'jobs' / id).exists() and id not in d.list()


def test_a_removal_that_fails_can_be_tried_again(d):
    """A file that nobody may delete is a stand-in for any trouble of the disk."""
    id = d.begin('/bin/mkdir', '/busy')
    assert d.end(id)['code'] == 0
    busy = d.state / 'jobs' / id / 'scratch' / 'upper' / 'busy'
    if subprocess.run(['chattr', '+i', busy], check=False).returncode:
        pytest.skip('no chattr here')
    try:
        assert 'error' in d.op('remove', id=id)
        assert not d.list()[id]['running'], 'it stays listed'
        assert d.op('stats', id=id)['status']['end'] == 'exited'
        d.op('kill_helper')
        assert id in d.list()
    finally:
        subprocess.run(['chattr', '-R', '-i', d.state / 'jobs' / id / 'scratch'], check=True)
    assert d.op('remove', id=id).get('ok') and id not in d.list()
    assert set(os.listdir(d.state / 'jobs' / id)) == {'log', 'usage'}


def test_hostile_fields_are_refused(d):
    for spec in ({'id': '../x'}, {'id': '-h'}, {'chains': ['../' * 21 + 'a']}, {'cwd': '/a/../b'}, {'id_base': 0},
                 {'mounts': [{'volume': '../jobs', 'target': '/x'}]}, {'mounts': [{'volume': 'v-1', 'target': '/proc/1'}]},
                 {'memory_bytes': 1}, {'devices': ['/dev/mem']}, {'env': ['=x']}):
        assert d.refuse('/bin/true', **spec)[0] == 'invalid', spec


# --- limits ---

def test_pids_are_limited(d):
    end, code, log = d.sh('for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1000 & done; echo all', pids=8)
    assert "can't fork" in log and 'all' not in log


def test_cpu_is_limited(d):
    """A fifth of a core: two seconds of a busy loop use about 0.4 s."""
    id = d.begin('/bin/sh', '-c', 'timeout 2 sh -c "while :; do :; done"; true', cpu_milli=200)
    status = d.end(id)
    wall = (status['ended_ms'] - status['started_ms']) * 1000
    assert status['cpu_usec'] < wall * 0.35
    d.op('remove', id=id)


def test_open_files_are_limited_to_what_we_may_give(d):
    assert int(d.sh('ulimit -Hn')[2]) > 1000
    assert d.sh('ulimit -c')[2] == '0\n'


# --- confinement ---

def test_capabilities_and_new_privileges_are_gone(d):
    status = dict(line.split(':\t', 1) for line in d.sh('cat /proc/self/status')[2].splitlines() if ':\t' in line)
    assert int(status['CapBnd'], 16) == 0x800405fb
    assert status['NoNewPrivs'] == '1' and status['Seccomp'] == '2'
    joe = dict(line.split(':\t', 1) for line in d.sh('cat /proc/self/status', user='joe')[2].splitlines() if ':\t' in line)
    assert int(joe['CapEff'], 16) == 0 and joe['Groups'].split() == ['44']
    assert joe['Uid'].split() == ['1000'] * 4


def test_system_calls_are_filtered(d):
    log = d.sh('mount -t tmpfs x /tmp; unshare -U true; unshare -n true; chroot / /bin/true && echo chroot works')[2]
    assert log.count('Operation not permitted') + log.count('permission denied') == 3
    assert 'chroot works' in log


VSOCK = r"""
#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
static long i386(long nr, long a, long b)
{
    long rc;
    __asm__ volatile("int $0x80" : "=a"(rc) : "a"(nr), "b"(a), "c"(b), "d"(0L) : "memory");
    return rc < 0 ? -rc : 0;
}
int main(void)
{
    unsigned *a = mmap(0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    a[0] = 40, a[1] = 1, a[2] = 0;
    printf("%d ", syscall(SYS_socket, 40L, 1L, 0L) < 0 ? errno : 0);
    printf("%d ", syscall(SYS_socket, 0x100000028L, 1L, 0L) < 0 ? errno : 0);
    printf("%ld %ld ", i386(359, 40, 1), i386(102, 1, (long)a));
    printf("%d\n", syscall(SYS_socket, 0x100000001L, 1L, 0L) < 0 ? errno : 0);
    return 0;
}
"""


@pytest.mark.skipif(os.uname().machine != 'x86_64' or not shutil.which('gcc'), reason='needs gcc on x86_64')
def test_vsock_is_refused_by_every_way(d, tmp_path):
    """The kernel reads the family as an int, and i386's socketcall hides it in memory."""
    (tmp_path / 'vsock.c').write_text(VSOCK)
    program = d.state / 'volumes' / 'v-1' / 'vsock'
    subprocess.run(['gcc', '-static', '-O1', '-o', program, tmp_path / 'vsock.c'], check=True)
    program.chmod(0o755)
    end, code, log = d.run('/data/vsock', mounts=[{'volume': 'v-1', 'target': '/data', 'ro': True}])
    assert (end, code, log) == ('exited', 0, f'{errno.EPERM} {errno.EPERM} {errno.EPERM} {errno.ENOSYS} 0\n')
    program.unlink()


def test_the_kernels_own_files_are_hidden_and_read_only(d):
    log = d.sh('wc -c < /proc/keys; wc -c < /proc/timer_list; ls /sys/firmware | wc -l; '
               'echo 1 > /proc/sys/kernel/hostname; echo 1 > /proc/irq/default_smp_affinity')[2]
    assert log.splitlines()[:3] == ['0', '0', '0']
    assert log.count('Read-only file system') == 2


def test_the_host_does_not_see_its_root_and_the_reverse(d):
    id = d.begin('/bin/sleep', '1000')
    pid = int(d.shim(id)['init'])
    uid = next(line for line in open(f'/proc/{pid}/status') if line.startswith('Uid')).split()[1]
    assert int(uid) == ID_BASE
    for ns in ('user', 'pid', 'ipc', 'uts', 'mnt', 'net', 'cgroup'):
        assert os.readlink(f'/proc/{pid}/ns/{ns}') != os.readlink(f'/proc/self/ns/{ns}'), ns
    d.op('signal', id=id, signal=9)
    d.end(id)
    d.op('remove', id=id)
    assert d.sh('ps | wc -l; hostname', hostname='my-job')[2].splitlines()[1] == 'my-job'
    assert int(d.sh('ps -o pid | wc -l')[2]) <= 5


def test_crun_gets_no_descriptor_of_the_hosts_files(d):
    """It gives stdio to the container's user: the log would change its owner, and so would /dev/null."""
    id = d.begin('/bin/sleep', '1000', user='joe')
    fds = pathlib.Path(f"/proc/{d.shim(id)['init']}/fd")
    links = [os.readlink(fds / n) for n in sorted(os.listdir(fds))]
    assert len(links) == 3 and links[0].endswith('/stdin') and links[1] == links[2]
    assert links[1].startswith('pipe:')
    d.op('signal', id=id, signal=9)
    d.end(id)
    d.op('remove', id=id)


def test_the_log_is_not_the_containers(d):
    end, code, log = d.sh('echo one; echo two > /dev/stderr; echo three > /dev/stdout; echo four > /proc/self/fd/1')
    assert log == 'one\ntwo\nthree\nfour\n'
    assert d.sh('echo one; echo two > /dev/stderr; chmod 0 /proc/self/fd/1; echo three', user='joe')[2] == 'one\ntwo\nthree\n'
    id = d.begin('/bin/true')
    d.end(id)
    st = os.stat(d.state / 'jobs' / id / 'log')
    assert (st.st_uid, st.st_mode & 0o777) == (0, 0o640)
    d.op('remove', id=id)


# --- the tree ---

def test_a_container_has_a_root_of_its_own(d):
    assert d.sh('echo x > /bin/new; rm /bin/ls; mkdir -p /a/b; ls / | wc -l')[:2] == ('exited', 0)
    assert d.sh('test -e /bin/new || test -e /a; echo $?; ls -ld /bin/sh /etc/passwd | cut -c1-40')[2].startswith('1\n')
    assert not (d.state / 'rootfs' / CHAIN / 'fs' / 'bin' / 'new').exists()


def test_an_image_from_scratch_runs(d):
    spec = {'chains': [SCRATCH_CHAIN]}
    assert d.run('/busybox', 'echo', 'hi', **spec) == ('exited', 0, 'hi\n')
    assert d.run('/busybox', 'id', user='5:6', **spec)[2] == 'uid=5 gid=6\n'
    assert 'exited' == d.run('/busybox', 'test', '-c', '/dev/null', **spec)[0]


def test_the_working_directory_is_made_when_the_image_lacks_it(d):
    assert d.sh('pwd; touch here && echo may write', cwd='/srv/deep/er')[2] == '/srv/deep/er\nmay write\n'
    kind, _ = d.refuse('/bin/true', cwd='/bin/sh')
    assert kind == 'invalid'


def test_environment_and_names(d):
    log = d.sh('echo $A,$HOME,$HOSTNAME; cat /etc/hostname; grep -c localhost /etc/hosts', env=['A=b c'], user='joe',
               hostname='box1')[2]
    assert log == 'b c,/home/joe,box1\nbox1\n2\n'
    # an entry without a PATH still finds programs
    assert d.run('echo', 'found')[2] == 'found\n'


def test_volumes_are_mounted_read_only_and_read_write(d):
    (d.state / 'volumes' / 'v-1' / 'in.txt').write_text('input')
    mounts = [{'volume': 'v-1', 'target': '/data', 'ro': True}, {'volume': 'v-2', 'target': '/made/out', 'ro': False}]
    end, code, log = d.sh('cat /data/in.txt; echo x > /data/new; echo done > /made/out/result; ls -ln /made/out/result',
                          mounts=mounts)
    assert log.startswith('input') and 'Read-only file system' in log
    out = d.state / 'volumes' / 'v-2' / 'result'
    assert out.read_text() == 'done\n' and out.stat().st_uid == ID_BASE
    assert not (d.state / 'volumes' / 'v-1' / 'new').exists()
    assert d.sh('mount -o remount,rw /data; touch /data/x', mounts=mounts)[1] != 0
    assert d.refuse('/bin/true', mounts=[{'volume': 'v-none', 'target': '/data'}])[0] == 'not_found'


def test_a_user_of_the_image_who_is_not_root_writes_to_volumes(d):
    """As the helper makes them: 0770, the project's root and its group; uploads are 0664."""
    v = d.state / 'volumes' / 'v-2'
    v.chmod(0o770)
    (v / 'uploaded').write_text('old')
    os.chown(v / 'uploaded', ID_BASE, ID_BASE)
    (v / 'uploaded').chmod(0o664)
    mounts = [{'volume': 'v-2', 'target': '/data', 'ro': False}]
    for user in ('joe', '1000', '1000:1000'):
        assert d.sh('echo new > /data/uploaded && mkdir /data/dir && rmdir /data/dir', mounts=mounts, user=user)[:2] == ('exited', 0), user
    assert (v / 'uploaded').read_text() == 'new\n'
    assert set(d.sh('grep Groups /proc/self/status', mounts=mounts, user='joe')[2].split()[1:]) == {'0', '44'}


def test_a_volume_of_another_project_is_refused(d):
    other = d.state / 'volumes' / 'v-other'
    other.mkdir()
    os.chown(other, ID_BASE + 65536, ID_BASE + 65536)
    assert d.refuse('/bin/true', mounts=[{'volume': 'v-other', 'target': '/data'}])[0] == 'forbidden'
    other.rmdir()


def test_the_environment_of_a_container_is_on_no_disk(d):
    id = d.begin('/bin/sleep', '1000', env=['KEY=sesame-8151'])
    for path in (d.state / 'jobs' / id).rglob('*'):
        assert not path.is_file() or b'sesame-8151' not in path.read_bytes(), path
    box = pathlib.Path(f"/proc/{d.shim(id)['pid']}/root/run/strata-{INSTANCE}/box")
    assert 'sesame-8151' in (box / 'config.json').read_text() and (box / 'config.json').stat().st_mode & 0o777 == 0o600
    assert not os.listdir(f'/run/strata-{INSTANCE}/box'), 'the host sees nothing of it'
    d.op('signal', id=id, signal=9)
    d.end(id)
    d.op('remove', id=id)


def test_a_shim_keeps_no_zombies(d):
    id = d.begin('/bin/sleep', '1000')
    shim = d.shim(id)
    children = pathlib.Path(f"/proc/{shim['pid']}/task/{shim['pid']}/children")
    wait_for(lambda: children.read_text().split() == [shim['init']], what='crun leaves nothing behind')
    d.op('signal', id=id, signal=9)
    d.end(id)
    d.op('remove', id=id)


def test_a_link_in_the_image_does_not_move_a_volume_out(d):
    fs = d.state / 'rootfs' / ('c' * 64) / 'fs'
    make_layer(d.state, 'c' * 64, True)
    (fs / 'evil').symlink_to('/../../../../../../tmp')
    marker = pathlib.Path('/tmp') / f'strata-runtime-evil-{os.getpid()}'
    mounts = [{'volume': 'v-2', 'target': f'/evil/{marker.name}', 'ro': False}]
    d.sh('true', mounts=mounts, chains=['c' * 64])
    assert not marker.exists()


# --- volumes inside of volumes, and what images do about them ---

@pytest.fixture
def image(d):
    """Makes images: busybox and what `change` does to its root."""
    made = []

    def make(change):
        chain = f'{len(made) + 1:x}'.rjust(64, 'd')
        make_layer(d.state, chain, True)
        change(d.state / 'rootfs' / chain / 'fs')
        made.append(chain)
        return {'chains': [chain]}
    yield make
    for chain in made:
        shutil.rmtree(d.state / 'rootfs' / chain)


@pytest.fixture
def volumes(d):
    """Names of empty volumes."""
    made = [f'nest-{n}' for n in 'abc']
    for v in made:
        (d.state / 'volumes' / v).mkdir()
        os.chown(d.state / 'volumes' / v, ID_BASE, ID_BASE)
    yield made
    for v in made:
        shutil.rmtree(d.state / 'volumes' / v)


def at(volume, target, ro=False):
    return {'volume': volume, 'target': target, 'ro': ro}


@pytest.mark.parametrize('order', [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_an_inner_volume_is_seen_whatever_the_order(d, volumes, order):
    mounts = [at(volumes[0], '/m'), at(volumes[1], '/m/in'), at(volumes[2], '/m/in/most')]
    assert d.sh('echo a > /m/f; echo b > /m/in/f; echo c > /m/in/most/f', mounts=[mounts[i] for i in order])[:2] == ('exited', 0)
    assert [(d.state / 'volumes' / v / 'f').read_text() for v in volumes] == ['a\n', 'b\n', 'c\n']


def test_a_volume_inside_a_read_only_one_needs_its_directory(d, volumes):
    mounts = [at(volumes[0], '/m', ro=True), at(volumes[1], '/m/in')]
    kind, message = d.refuse('/bin/true', mounts=mounts)
    assert kind == 'invalid' and '/m/in' in message and 'Read-only' in message
    (d.state / 'volumes' / volumes[0] / 'in').mkdir()
    assert d.sh('echo x > /m/in/f', mounts=mounts)[:2] == ('exited', 0)
    assert d.sh('echo x > /m/f', mounts=mounts)[1] != 0


@pytest.mark.parametrize('target', ['/etc/passwd', '/etc/group', '/bin/sh', '/bin/sh/deeper'])
def test_a_volume_on_a_file_is_the_users_mistake(d, volumes, target):
    kind, message = d.refuse('/bin/true', mounts=[at(volumes[0], target)])
    assert kind == 'invalid' and target in message and 'Not a directory' in message


@pytest.mark.parametrize('link', ['/proc', '/sys', '/dev', '/dev/shm', '../../proc/self', '/'])
def test_a_link_of_the_image_does_not_bring_a_volume_over_the_kernels_files(d, image, volumes, link):
    def change(fs):
        for sub in ('proc/self', 'sys', 'dev/shm'):
            (fs / sub).mkdir(parents=True)
        (fs / 'ln').symlink_to(link)
    kind, message = d.refuse('/bin/true', mounts=[at(volumes[0], '/ln')], **image(change))
    assert kind == 'invalid' and '/ln' in message and 'a link of the image leads to' in message


def test_a_link_in_a_volume_does_not_bring_another_over_the_kernels_files(d, image, volumes):
    (d.state / 'volumes' / volumes[0] / 'in').symlink_to('/dev')
    kind, message = d.refuse('/bin/true', mounts=[at(volumes[0], '/m'), at(volumes[1], '/m/in')],
                             **image(lambda fs: (fs / 'dev').mkdir()))
    assert kind == 'invalid' and '/m/in' in message and 'leads to /dev' in message


def test_a_link_of_the_image_leads_a_volume_where_it_says(d, image, volumes):
    spec = image(lambda fs: ((fs / 'srv').mkdir(), (fs / 'data').symlink_to('/srv/real')))
    kind, message = d.refuse('/bin/true', mounts=[at(volumes[0], '/data')], **spec)
    assert kind == 'invalid' and '/data' in message, 'it leads nowhere'
    spec = image(lambda fs: ((fs / 'srv' / 'real').mkdir(parents=True), (fs / 'data').symlink_to('/srv/real')))
    assert d.sh('echo x > /srv/real/f', mounts=[at(volumes[0], '/data')], **spec)[:2] == ('exited', 0)
    assert (d.state / 'volumes' / volumes[0] / 'f').exists()


def test_two_volumes_that_links_lead_to_one_place_are_refused(d, image, volumes):
    spec = image(lambda fs: ((fs / 'srv').mkdir(), (fs / 'data').symlink_to('srv')))
    kind, message = d.refuse('/bin/true', mounts=[at(volumes[0], '/srv'), at(volumes[1], '/data')], **spec)
    assert kind == 'invalid' and 'hidden by another' in message
    spec = image(lambda fs: ((fs / 'a' / 'b' / 'c').mkdir(parents=True), (fs / 'ln').symlink_to('/a/b/c')))
    kind, message = d.refuse('/bin/true', mounts=[at(volumes[0], '/a/b'), at(volumes[1], '/ln')], **spec)
    assert kind == 'invalid' and '/ln' in message


def test_a_volume_on_etc_brings_its_own_names(d, volumes):
    assert d.sh('ls /etc; echo mine > /etc/hosts', mounts=[at(volumes[0], '/etc')]) == ('exited', 0, '')
    assert os.listdir(d.state / 'volumes' / volumes[0]) == ['hosts']


@pytest.mark.parametrize('name, make', [
    ('proc', lambda fs: (fs / 'proc').symlink_to('/tmp')), ('proc', lambda fs: (fs / 'proc').touch()),
    ('sys', lambda fs: (fs / 'sys').symlink_to('/')), ('dev', lambda fs: (fs / 'dev').symlink_to('/tmp')),
    ('dev', lambda fs: (fs / 'dev').touch()),
    ('etc', lambda fs: (shutil.rmtree(fs / 'etc'), (fs / 'etc').symlink_to('/nowhere'))),
    ('etc', lambda fs: (shutil.rmtree(fs / 'etc'), (fs / 'proc').mkdir(), (fs / 'etc').symlink_to('/proc'))),
    ('etc', lambda fs: (shutil.rmtree(fs / 'etc'), (fs / 'etc').symlink_to('etc'))),
    ('etc', lambda fs: (shutil.rmtree(fs / 'etc'), (fs / 'etc').touch())),
    ('etc/hosts', lambda fs: (fs / 'etc' / 'hosts').mkdir())])
def test_an_image_without_a_place_for_what_is_mounted_is_the_users_mistake(d, image, name, make):
    kind, message = d.refuse('/bin/true', **image(make))
    assert kind == 'invalid' and '/' + name in message


def test_an_image_whose_etc_is_a_link_to_a_directory_runs(d, image):
    spec = image(lambda fs: (shutil.move(fs / 'etc', fs / 'conf'), (fs / 'etc').symlink_to('conf')))
    assert d.sh('grep -c localhost /conf/hosts', **spec) == ('exited', 0, '2\n')


def test_a_volume_that_is_a_link_is_refused(d):
    link = d.state / 'volumes' / 'v-link'
    link.symlink_to('/etc')
    assert 'error' in d.op('start', id=d.new_id(), chains=[CHAIN], id_base=ID_BASE, args=['/bin/true'],
                           mounts=[{'volume': 'v-link', 'target': '/data'}])
    link.unlink()


# --- output ---

def test_output_beyond_the_limit_is_dropped_and_counted(d):
    end, code, log = d.sh('head -c 100000 /dev/zero | tr "\\0" x; echo; echo tail; exit 3', log_max_bytes=4096)
    assert (end, code) == ('exited', 3)
    assert log == 'x' * 4096 + f'\n[strata: {100006 - 4096} bytes of output are lost: jobs.log_max is 4.0 KiB]\n'


def test_output_up_to_the_limit_stays_whole(d):
    assert d.sh('printf 12345678', log_max_bytes=8) == ('exited', 0, '12345678')


# --- network ---

def test_without_a_network_there_is_only_loopback(d):
    log = d.sh('ls /sys/class/net; ping -c 1 -W 1 127.0.0.1 > /dev/null; ip route | wc -l; ip -o link | grep -c UP')[2]
    assert log.split() == ['lo', '0', '1'] or log.splitlines()[0] == 'lo'


def test_the_hosts_network_is_the_hosts(d):
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]
        id = d.begin('/bin/sh', '-c', f'echo hello | nc 127.0.0.1 {port}', network=2)
        conn, _ = server.accept()
        assert conn.recv(100) == b'hello\n'
        conn.close()
        assert d.end(id)['code'] == 0
        d.op('remove', id=id)


@pytest.mark.skipif(not os.path.exists('/usr/sbin/nft'), reason='needs nft')
def test_the_bridge_reaches_the_host_but_no_other_container(d):
    reply = d.op('start', id=(first := d.new_id()), chains=[CHAIN], id_base=ID_BASE, network=1,
                 args=['/bin/sh', '-c', 'ip -4 -o addr show eth0; nc -l -p 7777'])
    if reply.get('kind') == 'unavailable' and 'not permitted' in reply['error']:
        pytest.skip(reply['error'])
    assert reply.get('ok'), reply
    wait_for(lambda: 'inet' in d.output(first))
    address = d.output(first).split('inet ')[1].split('/')[0]
    gateway = '.'.join(address.split('.')[:2]) + '.0.1'
    bridge = json.loads(subprocess.run(['ip', '-j', 'addr', 'show', 'to', gateway], capture_output=True,
                                       check=True).stdout)[0]['ifname']
    with socket.create_server((gateway, 0)) as server:
        port = server.getsockname()[1]
        second = d.begin('/bin/sh', '-c', f'ip route; nc -w 3 {gateway} {port}; echo host $?; '
                         f'nc -w 2 {address} 7777; echo other $?', network=1)
        server.accept()[0].close()
        d.end(second)
    log = d.output(second)
    d.op('remove', id=second)
    assert log.startswith(f'default via {gateway}')
    assert 'host 0' in log and 'other 1' in log, log
    d.op('signal', id=first, signal=9)
    d.end(first)
    d.op('remove', id=first)
    assert not [f for f in os.listdir(f'/run/strata-{INSTANCE}/net') if f.startswith('id-')]
    assert not os.path.exists(f'/sys/class/net/{bridge}'), 'the last container takes the bridge along'
    assert bridge not in subprocess.run(['nft', 'list', 'tables'], capture_output=True, text=True, check=True).stdout


# --- kill -9 of ours ---

def test_a_container_survives_the_helper_and_loses_nothing(d):
    script = 'i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); sleep 0.05; done; exit 7'
    id = d.begin('/bin/sh', '-c', script)
    wait_for(lambda: 'line 3' in d.output(id))
    d.kill()
    size = len(d.output(id))
    wait_for(lambda: len(d.output(id)) > size + 20, what='log goes on while we are dead')
    d.start()
    assert d.list()[id]['running']
    status = d.end(id)
    assert (status['end'], status['code']) == ('exited', 7)
    assert d.output(id) == ''.join(f'line {i}\n' for i in range(40))
    d.op('remove', id=id)


def test_an_end_while_we_are_dead_is_not_lost(d):
    id = d.begin('/bin/sh', '-c', 'sleep 0.3; exit 9')
    d.kill()
    wait_for(lambda: (d.state / 'jobs' / id / 'exit').exists())
    d.start()
    assert d.end(id)['code'] == 9, 'it is told'
    status = d.list()[id]
    assert not status['running'] and status['end'] == 'exited' and status['code'] == 9
    d.op('remove', id=id)


def test_a_killed_shim_is_a_lost_container_and_leaves_no_process(d):
    id = d.begin('/bin/sh', '-c', 'sleep 1000 & sleep 1000')
    shim = d.shim(id)
    os.kill(int(shim['pid']), signal.SIGKILL)
    status = d.end(id)
    assert status['end'] == 'lost' and 'shim' in status['detail']
    wait_for(lambda: not os.path.exists(f"/proc/{shim['init']}"), what='the container is ended')
    assert d.op('remove', id=id)['ok']


def test_a_shim_killed_while_we_are_dead_is_found(d):
    id = d.begin('/bin/sleep', '1000')
    shim = d.shim(id)
    d.kill()
    os.kill(int(shim['pid']), signal.SIGKILL)
    wait_for(lambda: not os.path.exists(f"/proc/{shim['pid']}"))
    d.start()
    status = d.list()[id]
    assert not status['running'] and status['end'] == 'lost'
    wait_for(lambda: not os.path.exists(f"/proc/{shim['init']}"), what='the container is ended')
    d.op('remove', id=id)


def test_after_a_reboot_containers_are_lost(d):
    """A record of another boot: whatever process has that number now is not touched."""
    bystander = subprocess.Popen(['sleep', '1000'])
    stat = open(f'/proc/{bystander.pid}/stat').read().rsplit(')', 1)[1].split()
    id = d.new_id()
    job = d.state / 'jobs' / id
    job.mkdir()
    (job / 'log').write_text('before')
    (job / 'scratch').mkdir()
    (job / 'shim').write_text(f'strata-shim 1\nboot 00000000-0000-0000-0000-000000000000\npid {bystander.pid}\n'
                              f'start {stat[19]}\n')
    d.op('kill_helper')
    status = d.list()[id]
    assert not status['running'] and status['end'] == 'lost' and 'anew' in status['detail']
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()
    assert d.op('remove', id=id)['ok'] and d.output(id) == 'before'


def test_a_recycled_process_number_is_not_taken_for_a_shim(d):
    boot = pathlib.Path('/proc/sys/kernel/random/boot_id').read_text().strip()
    bystander = subprocess.Popen(['sleep', '1000'])
    id = d.new_id()
    job = d.state / 'jobs' / id
    job.mkdir()
    (job / 'shim').write_text(f'strata-shim 1\nboot {boot}\npid {bystander.pid}\nstart 1\n')
    d.op('kill_helper')
    assert d.list()[id]['end'] == 'lost' and bystander.poll() is None
    bystander.kill()
    bystander.wait()
    assert d.op('remove', id=id)['ok']


def test_orphans_are_swept(d):
    for p in (f'/run/strata-{INSTANCE}/crun/gone-1', d.state / 'jobs' / 'gone-2' / 'scratch'):
        os.makedirs(p)
    group = next(p for p in CGROUPS.glob(f'*/strata-{INSTANCE}')) / 'gone-3'
    group.mkdir()
    orphan = subprocess.Popen(['sleep', '1000'])
    (group / 'cgroup.procs').write_text(str(orphan.pid))
    d.op('kill_helper')
    d.list()
    assert orphan.wait(timeout=10) == -9
    assert not group.exists() and not os.path.exists(f'/run/strata-{INSTANCE}/crun/gone-1')
    assert not (d.state / 'jobs' / 'gone-2' / 'scratch').exists()


def test_twenty_kills_at_random_lose_nothing(d):
    """Each container writes what it does; the helper is killed at any moment, also within a start."""
    rng = random.Random(7)
    want = {}
    for i in range(20):
        id, code = d.new_id(), rng.randrange(1, 100)
        script = f'echo begin {i}; sleep 0.{rng.randrange(1, 5)}; echo end {i}; exit {code}'
        helper = d.op('helper_pid')['pid']
        killer = threading.Timer(rng.random() * 0.1, os.kill, (helper, signal.SIGKILL))
        if i % 2:
            killer.start()
        reply = d.op('start', id=id, chains=[CHAIN], id_base=ID_BASE, args=['/bin/sh', '-c', script])
        if i % 2 == 0:
            assert reply.get('ok'), reply
            killer.start()
        killer.join()
        d.op('kill_helper')
        # A start that was cut off is there, or it left nothing that runs.
        wait_for(lambda: id not in d.list() or d.list()[id]['started_ms'] or not d.list()[id]['running'])
        if id in d.list():
            want[id] = (i, code)
        else:
            assert not (d.state / 'jobs' / id / 'log').exists(), 'nobody knows of it, so it must not run'
    assert len(want) >= 10, 'every start that was answered'

    def ended():
        return all(not d.list()[id]['running'] for id in want)
    wait_for(ended, 60)
    for id, (i, code) in want.items():
        status = d.list()[id]
        if status['end'] == 'exited':
            assert status['code'] == code
            assert d.output(id) == f'begin {i}\nend {i}\n'
        else:
            assert False, (status, d.output(id))
        assert d.op('remove', id=id)['ok']


# --- the host ---

def test_the_doctor_sees_what_root_sees(d):
    rows = {r['check']: r for r in d.op('check')['items']}
    assert {'root', 'kernel', 'cgroups', 'cgroup hybrid', 'crun', 'overlay', 'user namespaces', 'seccomp',
            'user ids', 'bridge network', 'pidfd', 'disk space', 'open files'} <= set(rows)
    assert rows['root']['level'] == rows['crun']['level'] == rows['overlay']['level'] == 0, rows
    for row in rows.values():
        assert row['found'] and (row['level'] < 2 or row['mend']), row
