"""`strata exporter`: the names, labels and values of node_exporter, cAdvisor, dcgm-exporter and lustrefs-exporter in one process.
Debian's node_exporter is the judge of the first: both read the same machine, and the same trees of machines we do not have."""
import contextlib
import math
import os
import re
import shutil
import signal
import subprocess
import threading
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

    def __init__(self, args, tmp):
        self.listen = f'127.0.0.1:{free_port()}'
        self.log_path = tmp / f'exporter-{self.listen.split(":")[1]}.log'
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen([*args, f'--web.listen-address={self.listen}'], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
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

    def start(*args):
        running.append(Program([str(a) for a in args], tmp_path))
        return running[-1]
    yield start
    for one in running:
        one.stop()
        assert not re.search(r'ERROR: \w+Sanitizer|runtime error:', one.log()), one.log()


def strata(*args):
    return [str(BUILD / 'strata'), 'exporter', *map(str, args)]


def once(*args):
    r = subprocess.run(strata('--once', *args), capture_output=True, text=True, timeout=60)
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
    ours = programs(*strata(*(f'--collector={name}' for name in extra)))
    ours.get(), theirs.get()  # warm
    a, b = theirs.get(), ours.get()
    # A machine that tests run on moves: counts of what runs now are compared in the trees below.
    same(parse(a), parse(b), drift=0.1, but=('node_processes_state', 'node_procs_running', 'node_procs_blocked', 'node_disk_io_now',
                                             'node_memory_Dirty_bytes', 'node_memory_Writeback_bytes', 'node_softnet_backlog_len'))
    assert len(parse(b)[0]) > 300


def test_both_formats_are_accepted(programs):
    ours = programs(*strata('--no-collector=containers'))  # they come and go
    text = ours.get()
    assert promtool(text) == []
    plain = parse(text)
    r = requests.get(ours.url, headers={'Accept': OPEN + ',text/plain;q=0.5'}, timeout=30)
    assert r.headers['Content-Type'] == 'application/openmetrics-text; version=1.0.0; charset=utf-8'
    opened = parse(r.text, openmetrics=True)
    assert set(plain[0]) == set(opened[0])
    assert requests.get(ours.url, timeout=30).headers['Content-Type'] == 'text/plain; version=0.0.4; charset=utf-8'


def test_gzip(programs):
    ours = programs(*strata())
    raw = requests.get(ours.url, headers={'Accept-Encoding': 'identity'}, timeout=30)
    assert 'Content-Encoding' not in raw.headers
    zipped = requests.get(ours.url, headers={'Accept-Encoding': 'br, gzip;q=0.5'}, timeout=30)
    assert zipped.headers['Content-Encoding'] == 'gzip'
    assert int(zipped.headers['Content-Length']) < len(raw.content) / 4
    assert set(parse(zipped.text)[0]) >= {('node_load1', ()), ('process_open_fds', ())}
    assert 'Content-Encoding' not in requests.get(ours.url, headers={'Accept-Encoding': 'gzip;q=0'}, timeout=30).headers


def test_collect_and_exclude(programs):
    ours = programs(*strata())
    names = {name for name, _ in parse(ours.get(params={'collect[]': ['loadavg', 'uname']}))[0]}
    assert names == {'node_load1', 'node_load5', 'node_load15', 'node_uname_info', 'node_scrape_collector_duration_seconds',
                     'node_scrape_collector_success'}
    left = {name for name, _ in parse(ours.get(params={'exclude[]': ['loadavg']}))[0]}
    assert 'node_load1' not in left and 'node_uname_info' in left
    for parameter in ('collect[]', 'exclude[]'):
        r = requests.get(ours.url, params={parameter: 'no such'}, timeout=30)
        assert r.status_code == 400 and 'there is no collector "no such"' in r.json()['error']['message'], r.text
        assert requests.get(ours.url, params={parameter: 'cpu.info'}, timeout=30).status_code == 400  # it is off


def test_unknown_collectors_and_addresses_are_clear_errors(tmp_path):
    for args, words in ((['--collector=nonsense'], 'there is no collector "nonsense"'), (['--no-collector=nonsense'], 'there is no collector'),
                        (['--path.procfs=/nonexistent'], '/nonexistent'), (['--web.telemetry-path=/'], '--web.telemetry-path'),
                        (['--collector.vmstat.fields=('], '')):
        r = subprocess.run(strata(*args), capture_output=True, text=True, timeout=30)
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
    ours = programs(*strata(*only('textfile'), f'--collector.textfile.directory={files}'))
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

    (files / 'load.prom').write_text('# TYPE node_load1 gauge\nnode_load1 77\nnode_mine 4\n')
    both = programs(*strata(*only('textfile', 'loadavg'), f'--collector.textfile.directory={files}'))
    samples, _ = parse(both.get())
    assert samples['node_load1', ()] != 77 and samples['node_mine', ()] == 4
    assert samples['node_scrape_collector_success', (('collector', 'textfile'),)] == 0
