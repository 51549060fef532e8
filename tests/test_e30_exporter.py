"""`strata exporter`: the names, labels and values of node_exporter, cAdvisor, dcgm-exporter and lustrefs-exporter in one process.
Debian's node_exporter is the judge of the first: both read the same machine, and the same trees of machines we do not have."""
import concurrent.futures
import contextlib
import ctypes
import json
import math
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time

import pytest
import requests

import exporter_trees as trees
from conftest import BUILD, free_port, wait_for

NODE_EXPORTER = 'prometheus-node-exporter'
OPEN = 'application/openmetrics-text; version=1.0.0'

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')


def parse(text, openmetrics=False):
    """{(name, labels): value} and {family: type}. Strict: families once and together, no sample twice."""
    samples, types, done, family = {}, {}, set(), None
    lines = text.split('\n')
    assert lines.pop() == '', 'the page ends in a line feed'
    if openmetrics:
        assert lines.pop() == '# EOF'
    for line in lines:
        head = re.match(r'# (HELP|TYPE|UNIT) (\S+) ?(.*)$', line)
        if head:
            if head[2] != family:
                assert head[2] not in done, f'{head[2]} comes twice'
                family = head[2]
                done.add(family)
            if head[1] == 'TYPE':
                assert family not in types and head[3] in ('counter', 'gauge', 'histogram', 'summary', 'unknown' if openmetrics else 'untyped'), line
                types[family] = head[3]
            continue
        m = SAMPLE.match(line)
        assert m, f'not a sample: {line!r}'
        assert family and m[1].startswith(family), f'{line!r} in the family {family}'
        if openmetrics and types[family] == 'counter':
            assert m[1] == family + '_total', line
        elif types[family] not in ('histogram', 'summary'):
            assert m[1] == family, line
        labels = LABEL.findall(m[2] or '')
        assert len({name for name, _ in labels}) == len(labels), f'a label twice: {line}'
        key = m[1], tuple(sorted((name, value) for name, value in labels if value != ''))
        assert key not in samples, f'twice: {line}'
        samples[key] = float(m[3])
    return samples, types


class Program:
    """Something that serves /metrics; `trees`: the folder with proc, sys, root of another machine."""

    def __init__(self, args, tmp, **popen):
        self.listen = f'127.0.0.1:{free_port()}'
        self.log_path = tmp / f'exporter-{self.listen.split(":")[1]}.log'
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen([*args, f'--web.listen-address={self.listen}'], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **popen)
        self.url = f'http://{self.listen}/metrics'

        def up():
            assert self.process.poll() is None, self.log()
            with contextlib.suppress(requests.RequestException):
                return requests.get(f'http://{self.listen}/', timeout=5).ok
        wait_for(up, 30, f'{args[0]} answers')

    def log(self):
        return self.log_path.read_text(errors='replace')

    def get(self, timeout=30, **kwargs):
        r = requests.get(self.url, timeout=timeout, **kwargs)
        assert r.status_code == 200, r.text
        return r.text

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(20)


@pytest.fixture
def programs(tmp_path):
    running = []

    def start(*args, **popen):
        running.append(Program([str(a) for a in args], tmp_path, **popen))
        return running[-1]
    yield start
    for one in running:
        one.stop()
        assert not re.search(r'ERROR: \w+Sanitizer|runtime error:', one.log()), one.log()


def exporter(*args):
    return [str(BUILD / 'strata'), 'exporter', *map(str, args)]


def once(*args):
    r = subprocess.run(exporter('--once', *args), capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr
    return parse(r.stdout)


def paths(root):
    return [f'--path.procfs={root}/proc', f'--path.sysfs={root}/sys', f'--path.rootfs={root}/root']


def only(*collectors):
    """--collector.disable-defaults and these, for ours."""
    return ['--collector.disable-defaults', *(f'--collector={name}' for name in collectors)]


def promtool(text):
    """What promtool finds wrong, but for its opinions of names: they are node_exporter's, cAdvisor's and dcgm-exporter's."""
    r = subprocess.run(['promtool', 'check', 'metrics'], input=text, capture_output=True, text=True, timeout=60)
    assert r.returncode in (0, 3), r.stderr  # 1: it cannot be read
    return [line for line in r.stderr.splitlines() if not re.search(
        r'camelCase|"_total" suffix|base unit|metric type|abbreviated|_count|reserved|unit', line)]


# What the two say of themselves, and what node_exporter's own libraries add.
OWN = re.compile(r'go_|promhttp_|node_scrape_|node_exporter_build|process_')


def same(theirs, ours, drift=0.0, but=()):
    """Every sample of `theirs` is in `ours`, with that value."""
    (a, types_a), (b, types_b) = theirs, ours
    wrong = []
    for key, value in a.items():
        if OWN.match(key[0]) or key[0] in but:
            continue
        if key not in b:
            wrong.append(f'missing {key} {value}')
        elif not (a[key] == b[key] or math.isnan(value) and math.isnan(b[key]) or
                  abs(value - b[key]) <= max(1e-9 * abs(value), drift * max(abs(value), abs(b[key]), 50))):
            wrong.append(f'differs {key} {value} {b[key]}')
    for name, kind in types_a.items():
        if not OWN.match(name) and name not in but and types_b.get(name) != kind:
            wrong.append(f'type of {name}: {kind} {types_b.get(name)}')
    assert not wrong, '\n'.join(wrong)


# --- this machine ---

def test_this_machine_as_node_exporter_shows_it(programs, tmp_path):
    extra = ['cpu.info', 'meminfo_numa', 'processes']
    theirs = programs(NODE_EXPORTER, '--collector.processes', '--collector.cpu.info', '--collector.meminfo_numa')
    ours = programs(*exporter(*(f'--collector={name}' for name in extra)))
    # A machine that tests run on moves: counts of what runs now are compared in the trees below, and the page is tried again.
    moving = ('node_processes_state', 'node_processes_threads_state', 'node_procs_running', 'node_procs_blocked', 'node_disk_io_now',
              'node_memory_Dirty_bytes', 'node_memory_Writeback_bytes', 'node_memory_numa_Dirty', 'node_memory_numa_Writeback',
              'node_softnet_backlog_len', 'node_sockstat_TCP_mem', 'node_sockstat_TCP_mem_bytes')
    for last in (False, False, False, False, True):
        a, b = parse(theirs.get()), parse(ours.get())
        with contextlib.nullcontext() if last else contextlib.suppress(AssertionError):
            same(a, b, drift=0.1, but=moving)
            break
    assert len(b[0]) > 300


def test_both_formats_are_accepted(programs):
    ours = programs(*exporter('--no-collector=containers'))  # they come and go
    for last in (False,) * 9 + (True,):  # so do mounts of other tests
        text = ours.get()
        assert promtool(text) == []
        r = requests.get(ours.url, headers={'Accept': OPEN + ',text/plain;q=0.5'}, timeout=30)
        assert r.headers['Content-Type'] == 'application/openmetrics-text; version=1.0.0; charset=utf-8'
        plain, opened = set(parse(text)[0]), set(parse(r.text, openmetrics=True)[0])
        if plain == opened or last:
            break
    assert plain == opened, plain ^ opened
    assert requests.get(ours.url, timeout=30).headers['Content-Type'] == 'text/plain; version=0.0.4; charset=utf-8'


def test_gzip(programs):
    ours = programs(*exporter())
    raw = requests.get(ours.url, headers={'Accept-Encoding': 'identity'}, timeout=30)
    assert 'Content-Encoding' not in raw.headers
    zipped = requests.get(ours.url, headers={'Accept-Encoding': 'br, gzip;q=0.5'}, timeout=30)
    assert zipped.headers['Content-Encoding'] == 'gzip'
    assert int(zipped.headers['Content-Length']) < len(raw.content) / 4
    assert set(parse(zipped.text)[0]) >= {('node_load1', ()), ('process_open_fds', ())}
    assert 'Content-Encoding' not in requests.get(ours.url, headers={'Accept-Encoding': 'gzip;q=0'}, timeout=30).headers


def test_collect_and_exclude(programs):
    ours = programs(*exporter())
    names = {name for name, _ in parse(ours.get(params={'collect[]': ['loadavg', 'uname']}))[0]}
    assert names == {'node_load1', 'node_load5', 'node_load15', 'node_uname_info', 'node_scrape_collector_duration_seconds',
                     'node_scrape_collector_success'}
    left = {name for name, _ in parse(ours.get(params={'exclude[]': ['loadavg']}))[0]}
    assert 'node_load1' not in left and 'node_uname_info' in left
    for parameter in ('collect[]', 'exclude[]'):
        r = requests.get(ours.url, params={parameter: 'no such'}, timeout=30)
        assert r.status_code == 400 and 'there is no collector "no such"' in r.json()['error']['message'], r.text
        assert requests.get(ours.url, params={parameter: 'cpu.info'}, timeout=30).status_code == 400  # it is off


def test_it_becomes_the_small_program_where_that_is(programs, tmp_path):
    ours = programs(*exporter(*only('loadavg')))
    assert os.readlink(f'/proc/{ours.process.pid}/exe') == str((BUILD / 'strata-exporter').resolve())
    libraries = set(re.findall(r'/(lib\S+?)\.so', pathlib.Path(f'/proc/{ours.process.pid}/maps').read_text()))
    assert not libraries & {'libcurl', 'libarchive', 'libsqlite3', 'libyaml-0'}, libraries
    shutil.copy(BUILD / 'strata', tmp_path)
    r = subprocess.run([tmp_path / 'strata', 'exporter', '--once', *only('loadavg')], capture_output=True, text=True, timeout=60)
    assert r.returncode == 0 and ('node_load1', ()) in parse(r.stdout)[0]
    r = subprocess.run(exporter('--collector=\x1b[2J', '--json'), capture_output=True, text=True, timeout=60)
    assert r.returncode != 0 and '\x1b' not in r.stderr and json.loads(r.stderr)['error']['kind'] == 'invalid'


def test_a_port_alone_is_all_addresses_as_there():
    args = exporter(*only('loadavg'), f'--web.listen-address=:{free_port()}')

    def answers():
        with contextlib.suppress(requests.RequestException):
            return requests.get(f'http://127.0.0.2:{args[-1].rsplit(":")[-1]}/metrics', timeout=5).ok
    with subprocess.Popen(args, stdin=subprocess.DEVNULL) as process:
        try:
            wait_for(answers, 30, 'it answers')
            r = subprocess.run(args, capture_output=True, text=True, timeout=30)
            assert r.returncode != 0 and 'in use by another program' in r.stderr and 'choose another port with --web.listen-address' in r.stderr, r.stderr
        finally:
            process.terminate()


def test_unknown_collectors_and_addresses_are_clear_errors(tmp_path):
    for args, words in ((['--collector=nonsense'], 'there is no collector "nonsense"'), (['--no-collector=nonsense'], 'there is no collector'),
                        (['--path.procfs=/nonexistent'], '/nonexistent'), (['--web.telemetry-path=/'], '--web.telemetry-path'),
                        (['--web.listen-address=9100'], '--web.listen-address: "9100" is not ADDRESS:PORT'), (['--collector.vmstat.fields=('], '')):
        r = subprocess.run(exporter(*args), capture_output=True, text=True, timeout=30)
        assert r.returncode != 0 and words in r.stderr, (args, r.stderr)


# --- machines we do not have ---

@pytest.mark.parametrize('area', trees.AREAS)
def test_trees_as_node_exporter_shows_them(programs, tmp_path, area):
    collectors, files = trees.AREAS[area]
    root = trees.write(tmp_path / 'tree', files)
    more = ['--collector.cpu.info'] if area == 'cpu' else []
    theirs = programs(NODE_EXPORTER, *paths(root), '--collector.disable-defaults', *(f'--collector.{name}' for name in collectors),
                      *more, f'--path.udev.data={root}/udev')
    args = [*paths(root), f'--path.udev.data={root}/udev', *only(*collectors, *(['cpu.info'] if area == 'cpu' else [])),
            *(['--collector=cpufreq'] if area == 'cpufreq' else [])]
    a = theirs.get()
    assert 'node_scrape_collector_success{collector="%s"} 1' % collectors[0] in a, theirs.log()
    same(parse(a), once(*args))


def test_nfs_operations_that_node_exporter_counts_wrongly(tmp_path):
    """It takes SETCLIENTID for VERIFY: the kernel counts operation i at place i + 1."""
    counts = ' '.join(str(1000 + i) for i in range(72))
    root = trees.write(tmp_path, {'proc/net/rpc/nfsd': f'net 1 2 3 4\nproc4ops 72 {counts}\n'})
    found = {dict(labels)['method']: value for (name, labels), value in once(*paths(root), *only('nfsd'))[0].items()
             if name == 'node_nfsd_requests_total' and ('proto', '4') in labels}
    assert found['Access'] == 1003 and found['SetClientID'] == 1035 and found['Verify'] == 1037 and found['RelLockOwner'] == 1039


def test_what_node_exporter_has_since(tmp_path):
    root = trees.write(tmp_path, {'proc/sys/kernel/hung_task_detect_count': '3\n', 'sys/class/watchdog/watchdog0/timeout': '60\n'})
    samples, types = once(*paths(root), *only('kernel_hung', 'watchdog'))
    assert samples['node_kernel_hung_tasks_total', ()] == 3 and types['node_kernel_hung_tasks_total'] == 'counter'
    assert samples['node_watchdog_timeout_seconds', (('name', 'watchdog0'),)] == 60


def test_names_that_the_kernel_gives_cannot_spoil_the_page(programs, tmp_path):
    root = trees.write(tmp_path, {'proc/meminfo': 'MemTotal: 1 kB\nNode 0 MemFree: 2 kB\n\\back"slash: 3 kB\n', 'proc/vmstat': 'pgpgin{a="b"} 4\npgpg\\x 5\n'})
    samples, _ = once(*paths(root), *only('meminfo', 'vmstat'))
    assert samples['node_memory_Node_0_MemFree_bytes', ()] == 2048 and samples['node_memory__back_slash_bytes', ()] == 3072
    assert samples['node_vmstat_pgpgin_a__b__', ()] == 4 and samples['node_vmstat_pgpg_x', ()] == 5
    files = tmp_path / 'files'
    files.mkdir()
    (files / 'quoted.prom').write_text('{"a.b", x="y"} 1\n')
    (files / 'good.prom').write_text('good 1\n')
    ours = programs(*exporter(*only('textfile'), f'--collector.textfile.directory={files}'))
    samples, _ = parse(ours.get())
    assert samples['good', ()] == 1 and samples['node_textfile_scrape_error', ()] == 1 and 'no such names' in ours.log()


def test_states_of_connections(tmp_path):
    root = trees.write(tmp_path, trees.SOCKETS)
    found = {dict(labels)['state']: value for (name, labels), value in once(*paths(root), *only('tcpstat'))[0].items() if name == 'node_tcp_connection_states'}
    assert found == {'established': 2, 'syn_sent': 0, 'syn_recv': 0, 'fin_wait1': 1, 'fin_wait2': 1, 'time_wait': 1, 'close': 0, 'close_wait': 0, 'last_ack': 0,
                     'listen': 3, 'closing': 0, 'rx_queued_bytes': sum(range(7)) + 3, 'tx_queued_bytes': 16 * sum(range(7))}


# --- text files ---

def test_text_files(programs, tmp_path):
    files = tmp_path / 'files'
    files.mkdir()
    (files / 'good.prom').write_text('# HELP backup_seconds How long\\nit took: C:\\\\x\n# TYPE backup_seconds gauge\n'
                                     'backup_seconds{what="a\\"b\\\\\\n"} 12.5\nbackup_seconds{what="b"} +Inf\n'
                                     '# TYPE runs_total counter\nruns_total 3\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\n'
                                     'h_sum 3\nh_count 2\nplain 1\n')
    (files / 'ignored.txt').write_text('not = a metric\n')
    theirs = programs(NODE_EXPORTER, '--collector.disable-defaults', '--collector.textfile', f'--collector.textfile.directory={files}')
    ours = programs(*exporter(*only('textfile'), f'--collector.textfile.directory={files}'))
    a, b = parse(theirs.get()), parse(ours.get())
    same(a, b, but=('node_textfile_mtime_seconds', 'backup_seconds', 'plain'))  # they escape and type as they like
    assert b[0]['backup_seconds', (('what', 'a\\"b\\\\\\n'),)] == 12.5 and b[0]['plain', ()] == 1
    assert [key for key in a[0] if key[0] == 'node_textfile_mtime_seconds'] == [key for key in b[0] if key[0] == 'node_textfile_mtime_seconds']
    assert promtool(ours.get()) == []
    parse(ours.get(headers={'Accept': OPEN}), openmetrics=True)

    for name, text, words in (('a-time', 'x 1 1700000000000\n', 'carry no time'), ('b-syntax', 'ok 1\nx{a="} 1\n', 'line 2'),
                              ('c-twice', '# TYPE runs_total counter\nruns_total 4\n', 'twice'), ('d-same', 'y 1\ny 1\n', 'twice'),
                              ('e-ours', 'node_textfile_scrape_error 3\n', 'of itself'), ('f-again', 'plain 2\n', 'twice')):
        bad = files / f'z{name}.prom'
        bad.write_text(text)
        samples, _ = parse(ours.get())
        assert samples['node_textfile_scrape_error', ()] == 1, name
        assert samples['node_scrape_collector_success', (('collector', 'textfile'),)] == 0
        assert samples['plain', ()] == 1 and samples['runs_total', ()] == 3, name
        wait_for(lambda: words in ours.log(), 5, words)
        bad.unlink()
        assert parse(ours.get())[0]['node_textfile_scrape_error', ()] == 0

    os.mkfifo(files / 'pipe.prom')
    assert parse(ours.get())[0]['plain', ()] == 1
    wait_for(lambda: 'pipe.prom is no regular file' in ours.log(), 5, 'it is not waited for')
    (files / 'pipe.prom').unlink()

    (files / 'load.prom').write_text('# TYPE node_load1 gauge\nnode_load1 77\nnode_mine 4\n')
    both = programs(*exporter(*only('textfile', 'loadavg'), f'--collector.textfile.directory={files}'))
    samples, _ = parse(both.get())
    assert samples['node_load1', ()] != 77 and samples['node_mine', ()] == 4
    assert samples['node_scrape_collector_success', (('collector', 'textfile'),)] == 0
    both.get()
    assert both.log().count('exporter.twice') == 1  # not with each page


def test_a_hundred_thousand_families_of_text_files(tmp_path):
    for i in range(10):
        (tmp_path / f'{i}.prom').write_text(''.join(f'# TYPE made_{i}_{k} gauge\nmade_{i}_{k} {k}\n' for k in range(10000)))
    r = subprocess.run(exporter('--once', *only('textfile', 'loadavg'), f'--collector.textfile.directory={tmp_path}'), capture_output=True, text=True,
                       timeout=120, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (10, 10)))
    assert r.returncode == 0, (r.returncode, r.stderr)
    lines = r.stdout.splitlines()
    assert sum(line.startswith('made_') for line in lines) == 100000 and 'node_scrape_collector_success{collector="textfile"} 1' in lines


# --- containers ---

ID = {name: f'{i:x}' * 64 for i, name in enumerate(('docker', 'docker2', 'k8s', 'k8s_fs', 'crio', 'podman', 'sandbox', 'nerdctl'), 1)}

NOTES = {
    f'root/var/lib/docker/containers/{ID["docker"]}/config.v2.json': json.dumps(
        {'Name': '/web "1"', 'Config': {'Image': 'nginx:1.25', 'Labels': {'x': 'y'}}}),
    f'root/var/lib/docker/containers/{ID["docker2"]}/config.v2.json': json.dumps(
        {'Name': '/k8s_c', 'Config': {'Image': 'sha256:1', 'Labels': {
            'io.kubernetes.pod.namespace': 'ns', 'io.kubernetes.pod.name': 'pod-d', 'io.kubernetes.container.name': 'main'}}}),
    f'root/run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID["k8s"]}/config.json': json.dumps({'annotations': {
        'io.kubernetes.cri.sandbox-namespace': 'ml', 'io.kubernetes.cri.sandbox-name': 'train-0',
        'io.kubernetes.cri.image-name': 'docker.io/library/torch:2', 'io.kubernetes.cri.container-name': 'torch',
        'io.kubernetes.cri.container-type': 'container'}}),
    f'root/run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID["sandbox"]}/config.json': json.dumps({'annotations': {
        'io.kubernetes.cri.sandbox-namespace': 'ml', 'io.kubernetes.cri.sandbox-name': 'train-0',
        'io.kubernetes.cri.container-type': 'sandbox'}}),
    f'root/run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID["k8s_fs"]}/config.json': '{"annotations": 7',  # broken
    f'root/run/containerd/io.containerd.runtime.v2.task/default/{ID["nerdctl"]}/config.json': json.dumps({'annotations': {'nerdctl/name': 'shell'}}),
    f'root/run/containers/storage/overlay-containers/{ID["crio"]}/userdata/config.json': json.dumps({'annotations': {
        'io.kubernetes.pod.namespace': 'kube-system', 'io.kubernetes.pod.name': 'dns', 'io.kubernetes.container.name': 'coredns',
        'io.kubernetes.cri-o.ImageName': 'coredns:1.9'}}),
    'root/var/lib/containers/storage/overlay-containers/containers.json': json.dumps(
        [{'id': '0' * 64, 'names': ['other']}, {'id': ID['podman'], 'names': ['db'], 'metadata': json.dumps({'image-name': 'postgres:15'})}]),
    'root/var/lib/strata/jobs/j-abc-1/labels': json.dumps(
        {'project': 'vision', 'job': 'j-abc', 'user': 'ann', 'image': 'vision/train:1', 'devices': ['/dev/nvidia1', '/dev/fuse']}),
    'proc/meminfo': 'MemTotal:       1000 kB\n', 'root/etc/machine-id': 'abcd\n', 'proc/sys/kernel/random/boot_id': 'boot\n',
}

GROUPS = {
    'docker': f'system.slice/docker-{ID["docker"]}.scope', 'docker2': f'docker/{ID["docker2"]}',
    'k8s': f'kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-{ID["k8s"]}.scope',
    'sandbox': f'kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-{ID["sandbox"]}.scope',
    'k8s_fs': f'kubepods/besteffort/pod2/{ID["k8s_fs"]}', 'crio': f'kubepods.slice/kubepods-pod3.slice/crio-{ID["crio"]}.scope',
    'podman': f'machine.slice/libpod-{ID["podman"]}.scope', 'nerdctl': f'system.slice/nerdctl-{ID["nerdctl"]}.scope',
    'strata': 'strata-0123/j-abc-1',
}

EXPECTED = {
    'docker': {'name': 'web \\"1\\"', 'image': 'nginx:1.25'},
    'docker2': {'name': 'k8s_c', 'image': 'sha256:1', 'namespace': 'ns', 'pod': 'pod-d', 'container': 'main'},
    'k8s': {'name': ID['k8s'], 'image': 'docker.io/library/torch:2', 'namespace': 'ml', 'pod': 'train-0', 'container': 'torch'},
    'sandbox': {'name': ID['sandbox'], 'namespace': 'ml', 'pod': 'train-0', 'container': 'POD'},
    'k8s_fs': {'name': ID['k8s_fs']}, 'nerdctl': {'name': 'shell'},
    'crio': {'name': ID['crio'], 'image': 'coredns:1.9', 'namespace': 'kube-system', 'pod': 'dns', 'container': 'coredns'},
    'podman': {'name': 'db', 'image': 'postgres:15'},
    'strata': {'name': 'j-abc-1', 'image': 'vision/train:1', 'project': 'vision', 'job': 'j-abc', 'user': 'ann'},
}

CGROUP2 = {
    'cpu.stat': trees.lines('usage_usec 90500000', 'user_usec 60000000', 'system_usec 30500000', 'nr_periods 100', 'nr_throttled 7', 'throttled_usec 2500000'),
    'cpu.max': '150000 100000\n', 'cpu.weight': '100\n', 'memory.current': '104857600\n', 'memory.peak': '209715200\n',
    'memory.stat': trees.lines('anon 50331648', 'file 40894464', 'kernel 2097152', 'file_mapped 1048576', 'inactive_file 4857600', 'pgfault 900', 'pgmajfault 9'),
    'memory.events': trees.lines('low 0', 'high 0', 'max 5', 'oom 2', 'oom_kill 1', 'oom_group_kill 0'), 'memory.max': '1073741824\n',
    'memory.low': '0\n', 'memory.swap.current': '4096\n', 'memory.swap.max': 'max\n', 'pids.current': '12\n', 'pids.max': 'max\n',
    'io.stat': trees.lines('8:0 rbytes=1048576 wbytes=2097152 rios=10 wios=20 dbytes=0 dios=0', '259:1 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0'),
    'cgroup.procs': '4242\n4243\n',
}
CGROUP1 = {
    'cpuacct': {'cpuacct.usage': '90500000000\n', 'cpuacct.stat': 'user 6000\nsystem 3050\n'},
    'cpu': {'cpu.stat': 'nr_periods 100\nnr_throttled 7\nthrottled_time 2500000000\n', 'cpu.cfs_quota_us': '150000\n',
            'cpu.cfs_period_us': '100000\n', 'cpu.shares': '2597\n'},
    'memory': {'memory.usage_in_bytes': '104857600\n', 'memory.max_usage_in_bytes': '209715200\n', 'memory.failcnt': '5\n',
               'memory.stat': trees.lines('cache 1', 'rss 1', 'total_cache 40894464', 'total_rss 50331648', 'total_mapped_file 1048576',
                                          'total_swap 4096', 'total_pgfault 900', 'total_pgmajfault 9', 'total_inactive_file 4857600'),
               'memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 1\n', 'memory.limit_in_bytes': '1073741824\n',
               'memory.soft_limit_in_bytes': '9223372036854771712\n', 'memory.memsw.limit_in_bytes': '9223372036854771712\n',
               'cgroup.procs': '4242\n4243\n'},
    'pids': {'pids.current': '12\n', 'pids.max': 'max\n'},
    'blkio': {'blkio.throttle.io_service_bytes_recursive': trees.lines('8:0 Read 1048576', '8:0 Write 2097152', '8:0 Sync 1', '8:0 Total 3145728',
                                                                       '259:1 Read 1', '259:1 Write 2', 'Total 3145731'),
              'blkio.throttle.io_serviced_recursive': trees.lines('8:0 Read 10', '8:0 Write 20', '259:1 Read 3', '259:1 Write 4', 'Total 37')},
}
NET = trees.lines('Inter-|   Receive |  Transmit', ' face |bytes packets', '    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0',
                  '  eth0: 1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0')


def container_tree(root, version):
    files = dict(NOTES, **{'sys/dev/block/8:0': '->../../devices/x/block/sda', 'proc/4242/net/dev': NET, 'proc/1/ns/net': '', 'proc/4242/ns/net': ''})
    if version == 2:
        files['sys/fs/cgroup/cgroup.controllers'] = 'cpu io memory pids\n'
        files |= {f'sys/fs/cgroup/{group}/{name}': text for group in GROUPS.values() for name, text in CGROUP2.items()}
    else:
        files |= {f'sys/fs/cgroup/{controller}/{group}/{name}': text for controller, all_of in CGROUP1.items()
                  for group in GROUPS.values() for name, text in all_of.items()}
    files['sys/fs/cgroup/' + ('' if version == 2 else 'memory/') + 'system.slice/ssh.service/cgroup.procs'] = '1\n'  # not a container
    return trees.write(root, files)


@pytest.mark.parametrize('version', (1, 2))
def test_containers_of_every_engine(tmp_path, version):
    root = container_tree(tmp_path, version)
    samples, types = once(*paths(root), *only('containers'))
    ids = {dict(labels)['id'] for name, labels in samples if name == 'container_last_seen'}
    assert ids == {'/', *('/' + group for group in GROUPS.values())}

    for engine, group in GROUPS.items():
        labels = {'id': '/' + group, **EXPECTED[engine]}

        def value(name, **more):
            return samples.get((name, tuple(sorted({**labels, **more}.items()))))
        for name, wanted in (
                ('cpu_user_seconds_total', 60), ('cpu_system_seconds_total', 30.5), ('cpu_cfs_periods_total', 100),
                ('cpu_cfs_throttled_periods_total', 7), ('cpu_cfs_throttled_seconds_total', 2.5), ('memory_usage_bytes', 104857600),
                ('memory_working_set_bytes', 100000000), ('memory_rss', 50331648), ('memory_cache', 40894464), ('memory_mapped_file', 1048576),
                ('memory_swap', 4096), ('memory_max_usage_bytes', 209715200), ('memory_failcnt', 5), ('oom_events_total', 1), ('processes', 2),
                ('threads', 12), ('spec_cpu_period', 100000), ('spec_cpu_quota', 150000), ('spec_cpu_shares', 2597),
                ('spec_memory_limit_bytes', 1073741824), ('spec_memory_reservation_limit_bytes', 0), ('spec_memory_swap_limit_bytes', 0)):
            assert value('container_' + name) == wanted, (engine, name, value('container_' + name))
        assert value('container_threads_max') == 0  # no limit, as cAdvisor says it
        assert value('container_cpu_usage_seconds_total', cpu='total') == 90.5
        assert value('container_memory_failures_total', failure_type='pgmajfault', scope='hierarchy') == 9
        assert value('container_fs_reads_bytes_total', device='/dev/sda') == 1048576
        assert value('container_fs_writes_total', device='/dev/sda') == 20
        assert value('container_fs_writes_bytes_total', device='259:1') == 2
        assert value('container_network_receive_bytes_total', interface='eth0') == 1000
        assert value('container_network_transmit_packets_dropped_total', interface='eth0') == 4
        assert value('container_network_receive_bytes_total', interface='lo') is None
    assert types['container_memory_failcnt'] == 'counter'
    assert samples['machine_memory_bytes', (('boot_id', 'boot'), ('machine_id', 'abcd'))] == 1024000


def test_containers_come_and_go_and_get_their_name_late(programs, tmp_path):
    root = container_tree(tmp_path, 2)
    ours = programs(*exporter(*paths(root), *only('containers')))
    late = root / 'sys/fs/cgroup/strata-0123/j-late-1'
    late.mkdir()
    for name, text in CGROUP2.items():
        (late / name).write_text(text)

    def of(name):
        return [dict(labels) for key, labels in parse(ours.get())[0] if key == 'container_memory_usage_bytes' and ('name', name) in labels]
    assert of('j-late-1') == [{'id': '/strata-0123/j-late-1', 'name': 'j-late-1'}]
    notes = root / 'root/var/lib/strata/jobs/j-late-1'
    notes.mkdir()
    (notes / 'labels').write_text('{"project": "p", "job": "j-late", "user": "u"}')
    assert of('j-late-1') == [{'id': '/strata-0123/j-late-1', 'name': 'j-late-1', 'project': 'p', 'job': 'j-late', 'user': 'u'}]
    shutil.rmtree(late)
    assert of('j-late-1') == []


def test_a_job_of_strata_shows_whose_it_is(strata):
    strata.project('demo')
    job = strata.submit('demo', {'image': strata.busybox, 'command': ['sleep', '600'], 'resources': {'cpu': '100m', 'memory': '64Mi'}})['id']
    strata.wait_job('demo', job, states=('running',))

    def shown():
        samples, _ = once(f'--state={strata.state}', *only('containers'))
        return [dict(labels) for name, labels in samples if name == 'container_memory_usage_bytes' and ('job', job) in labels]
    mine = shown()
    assert len(mine) == 1 and mine[0]['project'] == 'demo' and mine[0]['user'] == 'admin', mine
    assert mine[0]['image'] == strata.busybox
    strata.api('POST', f'/api/v1/projects/demo/jobs/{job}/cancel')
    strata.wait_job('demo', job)
    assert shown() == []


# --- GPUs ---

NVML = BUILD / 'tests/libfake-nvml.so'


def gpu_tree(tmp_path):
    """One job holds /dev/nvidia1."""
    return container_tree(tmp_path / 'tree', 2)


def test_gpus_as_dcgm_shows_them(tmp_path):
    samples, types = once(*paths(gpu_tree(tmp_path)), *only('gpu'), f'--nvml={NVML}')
    seen = {}
    for (name, labels), value in samples.items():
        labels = dict(labels)
        if name.startswith('DCGM_'):
            assert labels['Hostname'] == os.uname().nodename and labels['DCGM_FI_DRIVER_VERSION'] == '535.161.08'
            assert labels['modelName'] == 'NVIDIA A100-SXM4-40GB'
            seen[name[len('DCGM_FI_DEV_'):], labels['gpu'], labels.get('GPU_I_ID')] = value, labels
    whole = seen['GPU_TEMP', '1', None][1]
    assert {name: whole[name] for name in ('UUID', 'pci_bus_id', 'device', 'project', 'job', 'user')} == {
        'UUID': 'GPU-00000001', 'pci_bus_id': '00000000:08:00.0', 'device': 'nvidia1', 'project': 'vision', 'job': 'j-abc', 'user': 'ann'}
    assert 'job' not in seen['GPU_TEMP', '0', None][1]

    values = {(name, gpu): value for (name, gpu, part), (value, _) in seen.items() if part is None}
    for name, zero, one in (
            ('SM_CLOCK', 1410, 1411), ('MEM_CLOCK', 1215, 1216), ('GPU_TEMP', 41, 42), ('MEMORY_TEMP', 77, None), ('POWER_USAGE', 61.25, 61.251),
            ('POWER_MGMT_LIMIT', None, None), ('TOTAL_ENERGY_CONSUMPTION', 123456789, 123456790), ('FAN_SPEED', 30, None),
            ('PCIE_REPLAY_COUNTER', 3, None), ('GPU_UTIL', None, 97), ('MEM_COPY_UTIL', None, 42), ('ENC_UTIL', None, 5), ('DEC_UTIL', None, None),
            ('XID_ERRORS', 0, 79), ('FB_FREE', 4000, 30720), ('FB_USED', 520, 10240), ('FB_RESERVED', 600, None), ('ECC_SBE_VOL_TOTAL', 1, None),
            ('ECC_DBE_VOL_TOTAL', 2, None), ('ECC_SBE_AGG_TOTAL', 3, None), ('ECC_DBE_AGG_TOTAL', 4, None), ('RETIRED_SBE', 4, None),
            ('RETIRED_DBE', 0, None), ('RETIRED_PENDING', None, None), ('CORRECTABLE_REMAPPED_ROWS', 1, None),
            ('UNCORRECTABLE_REMAPPED_ROWS', 2, None), ('ROW_REMAP_FAILURE', 0, None), ('POWER_VIOLATION', 1000, None),
            ('THERMAL_VIOLATION', 2000, None), ('RELIABILITY_VIOLATION', 6000, None), ('PCIE_TX_THROUGHPUT', 10, 10), ('PCIE_RX_THROUGHPUT', None, None),
            ('NVLINK_BANDWIDTH_TOTAL', 277, 277), ('NVLINK_REPLAY_ERROR_COUNT_TOTAL', None, None)):
        assert (values.get((name, '0')), values.get((name, '1'))) == (zero, one), name

    parts = {key: value for key, value in seen.items() if key[2]}
    assert {key[2] for key in parts} == {'7', '8'} and {key[0] for key in parts} == {'FB_FREE', 'FB_USED', 'FB_RESERVED'}
    assert parts['FB_FREE', '0', '8'][0] == 4002 and parts['FB_FREE', '0', '8'][1]['GPU_I_PROFILE'] == '1g.5gb'
    assert types['DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION'] == 'counter' and types['DCGM_FI_DEV_GPU_UTIL'] == 'gauge'


def test_the_last_xid_stays_and_names_stay_in_openmetrics(programs, tmp_path):
    ours = programs(*exporter(*paths(gpu_tree(tmp_path)), *only('gpu'), f'--nvml={NVML}'))
    for _ in range(2):
        samples, types = parse(ours.get(headers={'Accept': OPEN}), openmetrics=True)
        assert [value for (name, labels), value in samples.items() if name == 'DCGM_FI_DEV_XID_ERRORS' and ('gpu', '1') in labels] == [79]
        assert types['DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION'] == 'unknown'  # not ..._total: dashboards ask for this name


def test_what_the_units_of_a_gpu_did_since_the_page_before(programs, tmp_path):
    ours = programs(*exporter(*paths(gpu_tree(tmp_path)), *only('gpu'), f'--nvml={NVML}'))

    def seen():
        return {(name[len('DCGM_FI_PROF_'):], dict(labels)['gpu'], dict(labels).get('GPU_I_ID')): value
                for (name, labels), value in parse(ours.get())[0].items() if name.startswith('DCGM_FI_PROF_')}
    assert seen() == {}  # there is no page before
    now = wait_for(seen, 10, 'a second page')
    assert {key[1:] for key in now} == {('0', None), ('0', '7'), ('0', '8')}  # the other GPU is too old
    assert now['GR_ENGINE_ACTIVE', '0', None] == 0.01 and now['PIPE_TENSOR_ACTIVE', '0', '8'] == 0.13 and now['PIPE_FP16_ACTIVE', '0', None] == 0.13
    assert now['PCIE_TX_BYTES', '0', None] == 20 * 2**20 and ('NVLINK_TX_BYTES', '0', None) not in now
    assert seen().keys() == now.keys()  # two who ask at once get the same


def test_a_machine_without_gpu_and_a_broken_library(tmp_path):
    assert once(*only('gpu'), '--nvml=/nonexistent.so')[0]['node_scrape_collector_success', (('collector', 'gpu'),)] == 0
    (tmp_path / 'broken.so').write_bytes(b'no library')
    assert once(*only('gpu'), f'--nvml={tmp_path}/broken.so')[0]['node_scrape_collector_success', (('collector', 'gpu'),)] == 0


# --- what hangs ---

GPU_OK = 'node_scrape_collector_success', (('collector', 'gpu'),)


def timed(get, *args, **kwargs):
    began = time.monotonic()
    return get(*args, **kwargs), time.monotonic() - began


def test_a_driver_that_hangs_is_left_out_and_comes_back(programs, tmp_path):
    hangs = tmp_path / 'hangs'
    hangs.touch()
    ours = programs(*exporter(*only('gpu', 'loadavg'), f'--nvml={NVML}'), env={**os.environ, 'FAKE_NVML_HANGS': str(hangs)})
    text, took = timed(ours.get, headers={'X-Prometheus-Scrape-Timeout-Seconds': '2'})
    samples, _ = parse(text)
    assert 1 < took < 2 and samples[GPU_OK] == 0 and ('node_load1', ()) in samples
    assert ('node_scrape_collector_duration_seconds', (('collector', 'gpu'),)) not in samples
    assert not [name for name, _ in samples if name.startswith('DCGM')]
    wait_for(lambda: 'exporter.late collector=gpu' in ours.log(), 5, 'it is reported')
    with concurrent.futures.ThreadPoolExecutor(20) as pool:  # nobody waits for it again
        for text, took in pool.map(lambda _: timed(ours.get), range(20)):
            assert took < 2 and parse(text)[0][GPU_OK] == 0
    hangs.unlink()
    wait_for(lambda: parse(ours.get())[0][GPU_OK] == 1, 10, 'it is back')
    hangs.touch()
    ours.get(headers={'X-Prometheus-Scrape-Timeout-Seconds': '1'})
    ours.process.terminate()
    assert ours.process.wait(8) == 0  # a thread that hangs holds nobody


def test_who_waited_for_a_page_that_hung_gets_the_rest(programs, tmp_path):
    hangs = tmp_path / 'hangs'
    hangs.touch()
    ours = programs(*exporter(*only('gpu', 'loadavg', 'vmstat'), f'--nvml={NVML}'), env={**os.environ, 'FAKE_NVML_HANGS': str(hangs)})
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for text in pool.map(lambda _: ours.get(headers={'X-Prometheus-Scrape-Timeout-Seconds': '1'}), range(4)):
            samples, _ = parse(text)
            assert samples[GPU_OK] == 0 and ('node_load1', ()) in samples and ('node_vmstat_pgpgin', ()) in samples
    hangs.unlink()


@pytest.fixture
def dead_mount():
    """(path, keywords for Popen, what ends it): in a mount namespace of its own, a file system whose server never answers, until
    it is gone. Not below /dev, where no mount is looked at."""
    path = pathlib.Path(tempfile.mkdtemp(dir='/var/tmp'))
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open('/dev/fuse', os.O_RDWR)

    def enter():
        MS_REC_PRIVATE, CLONE_NEWNS = 0x4000 | 0x40000, 0x20000
        options = f'fd={fd},rootmode=40000,user_id=0,group_id=0'.encode()
        if libc.unshare(CLONE_NEWNS) or libc.mount(b'none', b'/', None, MS_REC_PRIVATE, None) or \
                libc.mount(b'dead', os.fsencode(path), b'fuse', 0, options):
            raise OSError(ctypes.get_errno(), 'mount')
    # What looks for leaks stops every thread first, and waits for the one in the kernel.
    env = {**os.environ, 'ASAN_OPTIONS': os.environ.get('ASAN_OPTIONS', '') + ':detect_leaks=0'}
    with contextlib.ExitStack() as server:
        server.callback(os.close, fd)  # the program keeps none: its mount goes with the last
        yield path, {'preexec_fn': enter, 'env': env}, server.close
    path.rmdir()


def test_a_mount_that_does_not_answer_holds_up_nobody(programs, dead_mount, tmp_path):
    path, popen, _ = dead_mount
    root = trees.write(tmp_path / 'tree', {'proc/1/mounts': f'/dev/vda / ext4 rw 0 0\ndead {path} fuse rw 0 0\n', 'proc/loadavg': '1 2 3 1/2 3\n'})
    ours = programs(*exporter(f'--path.procfs={root}/proc', *only('filesystem', 'loadavg')), **popen)

    def page():
        text, took = timed(ours.get)
        samples, _ = parse(text)
        at = {dict(labels)['mountpoint']: value for (name, labels), value in samples.items() if name == 'node_filesystem_device_error'}
        assert at[str(path)] == 1 and at['/'] == 0
        assert not [1 for name, labels in samples if name == 'node_filesystem_size_bytes' and ('mountpoint', str(path)) in labels]
        assert ('node_filesystem_size_bytes', '/') in {(name, dict(labels).get('mountpoint')) for name, labels in samples}
        assert samples['node_scrape_collector_success', (('collector', 'filesystem'),)] == 1
        return took
    assert page() < 5
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        assert max(pool.map(lambda _: page(), range(20))) < 2  # it is not asked again
    ours.process.terminate()
    assert ours.process.wait(8) == 0


@pytest.fixture
def outside_dev():
    """Mounts below /dev are no file systems to the collector, and tmp_path may lie in /dev/shm."""
    with tempfile.TemporaryDirectory(dir='/var/tmp') as path:
        yield pathlib.Path(path)


def test_mounts_below_the_root_of_the_host_stand_as_there(outside_dev):
    tmp_path = outside_dev
    for one in ('host/data', 'hostess'):
        (tmp_path / one).mkdir(parents=True)
    trees.write(tmp_path, {'proc/1/mounts': ''.join(f'd{i} {tmp_path}/{at} ext4 rw 0 0\n' for i, at in enumerate(('host', 'host/data', 'hostess')))})
    for root in ('host', 'host//'):
        samples, _ = once(*only('filesystem'), f'--path.procfs={tmp_path}/proc', f'--path.rootfs={tmp_path}/{root}')
        at = {dict(labels)['device']: (dict(labels)['mountpoint'], value) for (name, labels), value in samples.items() if name == 'node_filesystem_device_error'}
        assert at == {'d0': ('/', 0), 'd1': ('/data', 0), 'd2': (f'{tmp_path}/hostess', 1)}


def test_mounts_that_do_not_answer_have_a_bounded_number_of_threads(programs, dead_mount, outside_dev):
    tmp_path = outside_dev
    path, popen, answers_again = dead_mount
    (tmp_path / 'good').mkdir()
    good = f'good {tmp_path}/good nfs rw 0 0\n'
    refused = [f'gone{i} {tmp_path}/gone{i} nfs rw 0 0\n' for i in range(70)]  # these answer, with an error
    dead = [f'dead{i} {path}/{i} nfs rw 0 0\n' for i in range(70)]
    root = trees.write(tmp_path / 'tree', {'proc/1/mounts': ''.join(refused) + dead[0] + good, 'proc/loadavg': '1 2 3 1/2 3\n'})
    ours = programs(*exporter(f'--path.procfs={root}/proc', *only('filesystem')), **popen)

    def failed():
        samples, _ = parse(ours.get())
        assert samples['node_scrape_collector_success', (('collector', 'filesystem'),)] == 1
        return {dict(labels)['device'] for (name, labels), value in samples.items() if name == 'node_filesystem_device_error' and value == 1}

    def threads():
        return len(os.listdir(f'/proc/{ours.process.pid}/task'))
    without = {f'gone{i}' for i in range(70)}
    assert failed() == failed() == without | {'dead0'}  # who answers takes no place of one that does not
    trees.write(root, {'proc/1/mounts': good + ''.join(dead)})
    few = threads()
    assert failed() == {f'dead{i}' for i in range(70)}  # and in the time of a page
    many = threads()
    for _ in range(3):
        failed()
    assert threads() <= many + 2 and many <= few + 64, (few, many, threads())
    answers_again()
    trees.write(root, {'proc/1/mounts': good})
    wait_for(lambda: failed() == set() and threads() <= few, 10, 'their threads end')
    trees.write(root, {'proc/1/mounts': good + dead[69]})
    assert failed() == {'dead69'}  # at once: that server is gone


def test_files_that_hang_hold_up_neither_the_page_nor_the_others(programs, dead_mount, tmp_path):
    path, popen, answers_again = dead_mount
    root = trees.write(tmp_path / 'tree', {'proc/loadavg': '1 2 3 1/2 3\n', 'proc/net': f'->{path}', 'sys/class/power_supply': f'->{path}',
                                           'proc/sys/fs/file-nr': '1024\t0\t1631329\n'})
    ours = programs(*exporter(*paths(root), *only('netstat', 'powersupplyclass', 'loadavg', 'filefd')), **popen)

    def page():
        text, took = timed(ours.get, headers={'X-Prometheus-Scrape-Timeout-Seconds': '3'})
        samples, _ = parse(text)
        assert samples['node_load1', ()] == 1 and samples['node_filefd_allocated', ()] == 1024
        ok = {dict(labels)['collector']: value for (name, labels), value in samples.items() if name == 'node_scrape_collector_success'}
        assert ok == {'netstat': 0, 'powersupplyclass': 0, 'loadavg': 1, 'filefd': 1}
        return took, {dict(labels)['collector'] for name, labels in samples if name == 'node_scrape_collector_duration_seconds'}
    took, came_back = page()
    assert took < 3 and came_back == {'loadavg', 'filefd'}
    assert ours.log().count('exporter.hangs') == 2
    with concurrent.futures.ThreadPoolExecutor(10) as pool:  # nobody waits for them again
        for took, came_back in pool.map(lambda _: page(), range(20)):
            assert took < 1 and came_back == {'loadavg', 'filefd'}
    answers_again()
    wait_for(lambda: page()[1] == {'loadavg', 'filefd', 'netstat', 'powersupplyclass'}, 10, 'they are asked again')
    assert 'collector=netstat error=' in ours.log()


def test_a_page_in_a_hurry_shows_what_came_before_one_that_hangs(programs, dead_mount, tmp_path):
    path, popen, answers_again = dead_mount
    root = trees.write(tmp_path / 'tree', {'proc/loadavg': '1 2 3 1/2 3\n', 'proc/net': f'->{path}', 'proc/vmstat': 'pgpgin 7\n'})
    ours = programs(*exporter(*paths(root), *only('netstat', 'loadavg', 'vmstat')), **popen)

    def page():
        samples, _ = parse(ours.get(headers={'X-Prometheus-Scrape-Timeout-Seconds': '1'}))
        return {dict(labels)['collector'] for (name, labels), value in samples.items()
                if name == 'node_scrape_collector_success' and value == 1}, samples
    ok, samples = page()
    assert ok == {'loadavg'} and samples['node_load1', ()] == 1
    assert 'exporter.hangs' not in ours.log()  # half a second is no proof of that
    wait_for(lambda: page()[0] == {'loadavg', 'vmstat'}, 10, 'the next finds it')
    assert ours.log().count('exporter.hangs collector=netstat') == 1
    page()
    assert ours.log().count('exporter.late collector=netstat') == 1  # not with each page
    answers_again()


def test_a_pipe_in_place_of_a_file_fails_at_once(tmp_path):
    root = trees.write(tmp_path, {'proc/stat': trees.STAT, 'sys/fs/cgroup/cgroup.controllers': 'cpu\n',
                                  'sys/fs/cgroup/strata-0123/j-abc-1/memory.current': '1\n', 'sys/class/hwmon/hwmon0/name': 'x\n'})
    for name in ('proc/loadavg', 'proc/meminfo', 'proc/diskstats', 'proc/1/mounts', 'sys/class/hwmon/hwmon0/temp1_input',
                 'sys/fs/cgroup/strata-0123/j-abc-1/cpu.stat', 'root/etc/os-release'):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(root / name)
    names = ('loadavg', 'meminfo', 'diskstats', 'filesystem', 'hwmon', 'containers', 'os', 'stat')
    (samples, _), took = timed(once, *paths(root), *only(*names))
    assert took < 5 and ('node_forks_total', ()) in samples
    for name in names:
        assert samples['node_scrape_collector_success', (('collector', name),)] == (name in ('stat', 'containers', 'hwmon')), name


def test_twenty_scrapes_at_once(programs):
    ours = programs(*exporter())
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        pages = list(pool.map(lambda i: parse(ours.get(headers={'Accept': OPEN} if i % 2 else {}), openmetrics=bool(i % 2)), range(60)))
    assert all(len(samples) > 300 for samples, _ in pages)


def test_it_ends_at_once_by_either_signal(programs):
    for sig in (signal.SIGTERM, signal.SIGINT):
        ours = programs(*exporter())
        ours.get()
        ours.process.send_signal(sig)
        assert ours.process.wait(8) == 0


# --- Lustre ---

def test_lustre(tmp_path):
    root = trees.write(tmp_path, trees.LUSTRE)
    samples, types = once(*paths(root), *only('lustre'))
    client, ost, mdt = 'scratch-ffff9239aa0c4800', {'component': 'ost', 'target': 'scratch-OST0000'}, {'component': 'mdt', 'target': 'scratch-MDT0000'}
    osc = {'fs': 'my-fs', 'target': 'my-fs-OST0001-osc-ffff9239aa0c4800'}
    wanted = [
        ('lustre_version_info', {'version': '2.15.3'}, 1), ('lustre_health_healthy', {}, 1), ('lustre_mem_used', {}, 72132771),
        ('lustre_mem_used_max', {}, 80000000), ('lustre_lnet_mem_used', {}, 178729063), ('lustre_send_count_total', {}, 33503282),
        ('lustre_receive_count_total', {}, 39769486), ('lustre_drop_count_total', {}, 2), ('lustre_send_bytes_total', {}, 6673532934057),
        ('lustre_receive_bytes_total', {}, 3943753915256), ('lustre_drop_bytes_total', {}, 7),
        ('lustre_client_stats', {'operation': 'read_bytes', 'target': client}, 82152), ('lustre_client_stats', {'operation': 'ioctl', 'target': client}, 2),
        ('lustre_client_stats', {'operation': 'open', 'target': client}, 434),
        ('lustre_client_read_ahead_stats_total', {'operation': 'hits', 'target': client}, 10772),
        ('lustre_client_read_ahead_stats_total', {'operation': 'readahead_to_eof', 'target': client}, 7),
        ('lustre_client_read_ahead_stats_total', {'operation': 'failed_to_fast_read', 'target': client}, 5),
        ('lustre_client_llite_read_bytes_total', {'fs': 'scratch', 'target': client}, 86022414336),
        *((f'lustre_client_osc_stats_time_microseconds_{what}', {**osc, 'operation': 'req_waittime'}, value)
          for what, value in (('min', 660), ('max', 63833), ('total', 1483797))),
        *((name, {**ost, 'operation': operation, 'size': size}, value) for name, size, values in (
            ('lustre_pages_per_bulk_rw_total', '256', (1, 8)), ('lustre_disk_io_total', '4096', (152547869, 30342047)),
            ('lustre_disk_io_total', '1048576', (0, 32))) for operation, value in zip(('read', 'write'), values)),
        ('lustre_quota_used_inodes', {**ost, 'accounting': 'user', 'id': '1337'}, 209),
        ('lustre_quota_used_kbytes', {**ost, 'accounting': 'user', 'id': '1337'}, 2880),
        *((f'lustre_quota_{what}', {'accounting': 'project', 'id': one, 'manager': 'dt', 'target': 'scratch-QMT0000'}, value)
          for one, values in (('0', (0, 0, 0)), ('7', (309200, 307200, 1025032))) for what, value in zip(('hard', 'soft', 'granted'), values)),
        *((f'lustre_quota_{what}', {'accounting': 'user', 'id': '1', 'manager': 'md', 'pool': 'fast', 'target': 'scratch-QMT0000'}, value)
          for what, value in (('hard', 5), ('soft', 4), ('granted', 3))),
        ('recovery_status_time_remaining_seconds', {'kind': 'MDT', 'target': 'scratch-MDT0000'}, 12),
        ('recovery_status_total_clients', {'kind': 'OST', 'target': 'scratch-OST0000'}, 4),
        ('recovery_status_duration_seconds', {'kind': 'OST', 'target': 'scratch-OST0000'}, 57),
        ('lustre_client_osc_stats_total', {**osc, 'operation': 'req_waittime'}, 1714), ('lustre_client_osc_stats_total', {**osc, 'operation': 'read_bytes'}, 12),
        ('lustre_client_osc_read_bytes_total', osc, 24), ('lustre_client_osc_cur_grant_bytes', osc, 8437760),
        ('lustre_client_mdc_md_stats_requests_total', {'fs': 'scratch', 'target': 'scratch-MDT0000-mdc-ffff9239aa0c4800', 'operation': 'close'}, 434),
        ('lustre_capacity_kilobytes', mdt, 1000), ('lustre_inodes_free', mdt, 77), ('lustre_capacity_kilobytes', ost, 2000),
        ('lustre_free_kilobytes', ost, 1900), ('lustre_available_kilobytes', ost, 1800),
        ('lustre_capacity_kilobytes', {'component': 'mgt', 'target': 'MGS'}, 30), ('lustre_connected_clients', mdt, 12),
        ('lustre_exports_total', ost, 6), ('lustre_exports_granted_total', ost, 999), ('lustre_stats_total', {**mdt, 'operation': 'open'}, 9),
        ('lustre_stats_total', {**mdt, 'operation': 'mknod'}, 3), ('lustre_stats_time_min', {**mdt, 'operation': 'open'}, 2),
        ('lustre_stats_time_max', {**mdt, 'operation': 'open'}, 30), ('lustre_stats_time_total', {**mdt, 'operation': 'open'}, 90),
        ('lustre_write_samples_total', {**ost, 'operation': 'write'}, 5), ('lustre_write_minimum_size_bytes', {**ost, 'operation': 'write'}, 4096),
        ('lustre_write_maximum_size_bytes', {**ost, 'operation': 'write'}, 8192), ('lustre_write_bytes_total', {**ost, 'operation': 'write'}, 30000),
        ('lustre_mds_mdt_stats', {'operation': 'req_waittime', 'units': 'usecs'}, 7), ('lustre_ldlm_canceld_stats', {'operation': 'ldlm_cancel'}, 8),
        ('lustre_lock_count_total', ost, 41), ('recovery_status', {'kind': 'MDT', 'target': 'scratch-MDT0000'}, 3),
        ('recovery_status_completed_clients', {'kind': 'MDT', 'target': 'scratch-MDT0000'}, 1),
        ('recovery_status_connected_clients', {'kind': 'MDT', 'target': 'scratch-MDT0000'}, 2),
        ('recovery_status', {'kind': 'OST', 'target': 'scratch-OST0000'}, 0), ('recovery_status_completed_clients', {'kind': 'OST', 'target': 'scratch-OST0000'}, 3),
        ('recovery_status_evicted_clients', {'kind': 'OST', 'target': 'scratch-OST0000'}, 0),
        ('lustre_job_stats_total', {**mdt, 'jobid': 'j-abc', 'operation': 'open'}, 4), ('lustre_job_stats_total', {**ost, 'jobid': 'j-abc', 'operation': 'punch'}, 1),
        *((f'lustre_job_read_{what}', {**ost, 'jobid': 'j-abc', 'operation': 'read_bytes'}, value) for what, value in (
            ('samples_total', 256), ('minimum_size_bytes', 4096), ('maximum_size_bytes', 4194304), ('bytes_total', 1073741824))),
        *((f'lustre_job_write_{what}', {**ost, 'jobid': 'j-abc', 'operation': 'write_bytes'}, value) for what, value in (
            ('samples_total', 3), ('minimum_size_bytes', 1), ('maximum_size_bytes', 2), ('bytes_total', 5))),
        *((f'lustre_job_read_{what}', {**ost, 'jobid': 'cp.0', 'operation': 'read_bytes'}, value) for what, value in (
            ('samples_total', 9), ('minimum_size_bytes', 7), ('maximum_size_bytes', 8), ('bytes_total', 70))),
    ]
    assert {key: value for key, value in samples.items() if not OWN.match(key[0])} == {
        (name, tuple(sorted(labels.items()))): value for name, labels, value in wanted}
    assert types['lustre_job_read_bytes_total'] == 'counter' and types['recovery_status'] == 'gauge'

    (root / 'sys/fs/lustre/health_check').write_text('device scratch-OST0000 reported unhealthy\nNOT HEALTHY\n')
    samples, _ = once(*paths(root), *only('lustre'))
    assert samples['lustre_health_healthy', ()] == 0 and samples['lustre_health_healthy', (('target', 'scratch-OST0000'),)] == 0


def test_lustre_is_not_there(tmp_path):
    root = trees.write(tmp_path, {})
    assert once(*paths(root), *only('lustre'))[0]['node_scrape_collector_success', (('collector', 'lustre'),)] == 0
