"""The store of metrics when things go wrong: killed, without power, on a full disk, with a clock that goes back, with damaged files, flooded."""
import os
import pathlib
import random
import re
import shutil
import signal
import tempfile
import threading
import time

import pytest
import requests

from conftest import wait_for
from power_loss import LEAST, MIXED, NAMES, Disk
from test_c25_registry_fsck import owner
from test_c26_power_loss import OTHERS, place, traced, untraced  # noqa: F401 (place is a fixture)
from test_c26_registry_faults import detach, kill_at, needs_strace
from test_c70_faults import small  # noqa: F401 (a fixture)
from test_e20_metrics import API, ask, snappy, write, write_request
from test_e21_scrape import folder, put, start, target, target_of, value  # noqa: F401 (folder and target are fixtures)

HEADERS = {'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy', 'X-Prometheus-Remote-Write-Version': '0.1.0'}


def batch(name, at, k, n=20):
    """The k-th sample of each of n series."""
    return [({'__name__': name, 'i': str(i)}, [(at, float(k * 1000 + i))]) for i in range(n)]


def send(s, series):
    return s.api('POST', API + '/write', data=snappy(write_request(series)), headers=HEADERS)


def holds(s, name, kept, n=20):
    """Of every series each acknowledged (second, k), once, in order, and nothing that was never sent."""
    last = max(at for at, _ in kept)
    first = min(at for at, _ in kept)
    found = ask(s, '/query', method='POST', query=f'{name}[{int(last - first) + 60}s]', time=last + 1)['data']['result']
    assert len(found) == n
    for one in found:
        i = int(one['metric']['i'])
        times = [at for at, _ in one['values']]
        assert times == sorted(set(times)), 'a time is there twice'
        got = {round(at, 3): float(v) for at, v in one['values']}
        missing = [(at, k) for at, k in kept if got.get(round(at, 3)) != k * 1000 + i]
        assert not missing, f'{len(missing)} of {len(kept)} acknowledged samples are not there: {missing[:3]}'


def killed(s):
    """All of its processes, the exporter too, which ends with the supervisor; a dying one holds the lock of the state directory for a moment. They are stopped
    first: a server whose supervisor has died ends in order, if it gets the time."""
    for pid in s.pids().values():
        os.kill(pid, signal.SIGSTOP)
    pids = [s.process.pid, *map(int, pathlib.Path(f'/proc/{s.process.pid}/task/{s.process.pid}/children').read_text().split())]
    s.kill()
    wait_for(lambda: not any(os.path.exists(f'/proc/{pid}') for pid in pids), 20, 'they are gone')


def number(s, name):
    """Of the server's own page, which needs no store."""
    page = s.api('GET', '/metrics').text
    return float(next(line.split()[-1] for line in page.split('\n') if line.startswith(name + ' ')))


def test_killed_while_remote_write_comes_in(own_strata):
    """A sender that was not answered sends again: what it was told is there, and nothing twice."""
    s, kept, at = own_strata().start(), [], int(time.time()) - 3000
    r = random.Random(22)
    for _ in range(4):
        stop, count = threading.Event(), r.randrange(5, 40)

        def kill(begun=len(kept), count=count, stop=stop, pid=s.pids()['server']):
            wait_for(lambda: len(kept) >= begun + count, 60, 'samples come in')
            os.kill(pid, signal.SIGKILL)
            stop.set()
        killer = threading.Thread(target=kill)
        killer.start()
        while not stop.is_set():
            try:
                answer = send(s, batch('killed', at + len(kept), len(kept)))
            except requests.RequestException:
                break
            if answer.status_code != 204:
                break
            kept.append((at + len(kept), len(kept)))
        killer.join()
        s.wait_ready()
        holds(s, 'killed', kept)
        assert number(s, 'strata_tsdb_damaged_total') == 0 and number(s, 'strata_tsdb_samples_lost_total') == 0


def past(name, begin, k, n=20):
    """The k-th ten hours of 20, a sample each ten minutes, of each of n series, in one request: all of it is to be cut to blocks at once."""
    at = [(begin + 600 * j + k * 36000, j + 60 * k) for j in range(60)]
    return at, [({'__name__': name, 'i': str(i)}, [(t, float(j * 1000 + i)) for t, j in at]) for i in range(n)]


def blocks_of(s):
    return [p for p in (s.state / 'metrics/blocks').glob('0*') if len(p.name) == 8]


@needs_strace
@pytest.mark.parametrize(('call', 'when'), [('renameat', 1), ('fdatasync,fsync', 3), ('unlinkat', 1)])
def test_killed_while_blocks_are_cut_and_merged(own_strata, call, when):
    """What is acknowledged goes from the log to blocks, and from small ones to large ones."""
    s, kept, begin = own_strata(args=('--set', 'metrics.out_of_order=10d')).start(), [], int(time.time()) - 8 * 36000
    tracer = kill_at(s, call, when)
    try:
        for k in range(4):
            at, series = past('cut', begin, k)
            try:
                if send(s, series).status_code != 204:
                    break
            except requests.RequestException:
                break
            kept += at
        wait_for(lambda: tracer.poll() is not None, 60, 'the server is killed')
    finally:
        detach(tracer)
    s.wait_ready()
    assert kept or call.startswith('f')
    for k in range(len(kept) // 60, 6):
        at, series = past('cut', begin, k)
        assert send(s, series).status_code == 204
        kept += at
        holds(s, 'cut', kept)
    wait_for(lambda: blocks_of(s), 60, 'blocks are there')
    holds(s, 'cut', kept)
    killed(s)
    s.start()
    holds(s, 'cut', kept)
    assert number(s, 'strata_tsdb_damaged_total') == 0


def test_a_full_disk_pauses_and_goes_on_by_itself(small):  # noqa: F811
    s, kept, at = small.start(), [], int(time.time()) - 3000
    for k in range(20):
        write(s, batch('full', at + k, k))
        kept.append((at + k, k))
    s.disk.fill()

    def refused():
        r = send(s, batch('full', at + len(kept), len(kept)))
        if r.status_code == 204:
            kept.append((at + len(kept), len(kept)))
        return [r] if r.status_code != 204 else None  # a refusal counts as false
    r = wait_for(refused, 60, 'ingest pauses')[0]
    assert r.status_code >= 500 and 'No space left' in r.text, r.text  # a sender tries again
    wait_for(lambda: number(s, 'strata_tsdb_paused') == 1, 30, 'it says so')
    alert = next(a for a in ask(s, '/alerts')['data']['alerts'] if a['labels']['alertname'] == 'StrataMetricsPaused')
    assert alert['state'] == 'firing' and 'No space left' in alert['annotations']['summary']
    assert 'metrics.paused' in s.log()
    holds(s, 'full', kept)  # queries go on
    assert s.api('GET', '/api/v1/projects').status_code == 200
    target = wait_for(lambda: (t := ask(s, '/targets')['data']['activeTargets'][0])['health'] == 'down' and t, 60, 'the target says so')
    assert 'No space left' in target['lastError']
    s.disk.empty()

    def taken():
        return send(s, batch('full', at + len(kept), len(kept))).status_code == 204
    wait_for(taken, 60, 'it goes on')
    kept.append((at + len(kept), len(kept)))
    assert number(s, 'strata_tsdb_paused') == 0 and 'metrics.resumed' in s.log()
    assert not ask(s, '/alerts')['data']['alerts']
    wait_for(lambda: ask(s, '/targets')['data']['activeTargets'][0]['health'] == 'up', 60, 'scraping goes on')
    holds(s, 'full', kept)
    killed(s)
    s.start()
    holds(s, 'full', kept)


def test_a_clock_that_goes_back_refuses_what_is_late_and_harms_nothing(own_strata):
    """libfaketime moves the server's wall clock by a file that it reads again and again."""
    library = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1'
    if not os.path.exists(library):
        pytest.skip('libfaketime is not installed')
    if os.environ.get('ASAN_OPTIONS'):
        pytest.skip('a sanitizer wants to be the first library')
    with tempfile.NamedTemporaryFile('w', prefix='strata-clock-', dir='/tmp', delete=False) as f:
        f.write('+0\n')
    stamp = pathlib.Path(f.name)  # where the user strata reads it too
    stamp.chmod(0o644)
    faked = {'LD_PRELOAD': library, 'FAKETIME_TIMESTAMP_FILE': str(stamp), 'FAKETIME_CACHE_DURATION': '0', 'FAKETIME_DONT_FAKE_MONOTONIC': '1'}
    s = own_strata()
    os.environ.update(faked)
    try:
        s.start()
    finally:
        for name in faked:
            del os.environ[name]
    now = int(time.time())
    kept = [(now - 300 + k, k) for k in range(100)]
    for at, k in kept:
        write(s, batch('clock', at, k))
    up = f'count_over_time(up{{job="strata"}}[1h] @ {now + 3600})'
    wait_for(lambda: value(s, up), 60, 'it scrapes itself')
    stamp.write_text('-30m\n')
    r = send(s, batch('clock', now - 1800, 7))
    assert r.status_code == 400 and 'out of order' in r.text, r.text  # a sender must not try again
    holds(s, 'clock', kept)
    stamp.write_text('+2m\n')
    write(s, batch('clock', now + 100, 100))
    kept.append((now + 100, 100))
    before = float(value(s, up))
    wait_for(lambda: float(value(s, up)) > before, 90, 'scraping goes on')
    holds(s, 'clock', kept)
    s.stop()
    s.start()
    holds(s, 'clock', kept)
    stamp.unlink()


def test_a_target_with_a_million_series_is_kept_within_the_limit(own_strata, folder, target):  # noqa: F811
    put(folder / 'p.yml', f"""
scrape_configs:
- {{job_name: small, scrape_interval: 1s, metrics_path: /small, static_configs: [{{targets: ['{target.address}']}}]}}
- {{job_name: big, scrape_interval: 15s, scrape_timeout: 15s, metrics_path: /big, static_configs: [{{targets: ['{target.address}']}}]}}
""")
    target.pages['/small'] = 'tick 1\n'
    s = own_strata(args=('--set', f'metrics.scrape_config={folder}/p.yml', '--set', 'metrics.max_series=5000')).start()
    wait_for(lambda: value(s, 'tick') == '1', 60, 'the small target')
    target.pages['/big'] = ''.join(f'big{{i="{i}"}} 1\n' for i in range(1_000_000))
    wait_for(lambda: number(s, 'strata_tsdb_series_refused_total') > 900_000, 180, 'new series are refused and counted')
    assert number(s, 'strata_tsdb_series') <= 5000
    [full] = [x for x in ask(s, '/alerts')['data']['alerts'] if x['labels']['alertname'] == 'StrataMetricsFull']
    assert full['state'] == 'firing' and 'metrics.max_series: there are 5000 series' in full['annotations']['summary']
    assert 'metrics.full' in s.log()
    target.pages['/small'] = 'tick 2\n'
    wait_for(lambda: value(s, 'tick') == '2' and value(s, 'up{job="small"}') == '1', 60, 'old series go on')
    wait_for(lambda: value(s, 'count(last_over_time(big[5m]))'), 180, 'the rest is taken')  # refused comes first
    assert 1000 < float(value(s, 'count(last_over_time(big[5m]))')) <= 5000  # our own machine's are there already
    assert send(s, batch('new', time.time(), 1)).status_code >= 400


def flip(path, offset):
    """In place: a block is a file that its server has mapped or will open again."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x55
    with open(path, 'r+b') as f:
        f.write(data)


def files(s, folder):  # noqa: F811
    return sorted(p for p in (s.state / 'metrics' / folder).rglob('*') if p.is_file() and p.stat().st_size > 100)


def test_a_torn_and_a_flipped_log_cost_no_more_than_they_touch(own_strata):
    s, at = own_strata().start(), int(time.time()) - 3000
    kept = [(at + k, k) for k in range(200)]
    for when, k in kept:
        write(s, batch('log', when, k))
    killed(s)
    with open(files(s, 'wal')[-1], 'ab') as f:
        f.write(os.urandom(9))  # the beginning of a record that was never acknowledged
    s.start()
    holds(s, 'log', kept)
    killed(s)
    wal = max(files(s, 'wal'), key=lambda p: p.stat().st_size)
    flip(wal, wal.stat().st_size // 2)
    s.start()
    assert number(s, 'strata_tsdb_damaged_total') >= 1 and 'metrics.damaged' in s.log()
    assert list((s.state / 'metrics/damaged').iterdir())
    found = ask(s, '/query', query='count_over_time(log[2h])')['data']['result']
    assert len(found) == 20 and all(float(x['value'][1]) >= 150 for x in found), found[:2]
    write(s, batch('log', at + 500, 500))
    holds(s, 'log', kept[:50] + kept[-20:] + [(at + 500, 500)])


def test_a_flipped_byte_of_a_block_is_found_and_the_rest_served(own_strata):
    s, begin = own_strata().start(), int(time.time()) - 8 * 36000
    at, series = past('block', begin, 0)
    assert send(s, series).status_code == 204
    wait_for(lambda: blocks_of(s), 60, 'a block')
    write(s, batch('fresh', time.time(), 1))
    s.stop()
    for path in blocks_of(s)[:1]:
        flip(path, 40)
    s.start()
    ask(s, '/query', method='POST', query='count_over_time(block[30h])', time=at[-1][0] + 1)
    assert number(s, 'strata_tsdb_damaged_total') >= 1, 'it is reported'
    assert re.search(r'metrics\.(block|damaged) ', s.log()), 'and logged'
    assert value(s, 'count(fresh)') == '20'
    write(s, batch('fresh', time.time() + 1, 2))


@pytest.mark.skipif(not shutil.which('strace'), reason='strace is not installed')
def test_what_remote_write_acknowledged_survives_a_power_loss(own_strata, place):  # noqa: F811
    """Before every answer, on nothing but what had been synced by then."""
    log, s = place / 'calls', own_strata(state=place / 'root' / 'state')
    disk, s.log_path = Disk(place / 'root', OTHERS), place / 'messages'
    traced(s, log)
    made, at = {}, int(time.time()) + 60
    for k in range(48):
        r = send(s, batch('power', at + 600 * k, k))
        assert r.status_code == 204, r.text
        made[r.headers['X-Request-Id'].encode()] = (at + 600 * k, k)
        if k == 30:
            os.kill(s.pids()['server'], signal.SIGKILL)
            s.wait_ready()
    untraced(s, log)
    kept, seen = [], 0
    for sent in disk.replay(log):
        asked = next((i for i in made if b'X-Request-Id: ' + i + b'\r\n' in sent), None)
        if asked is None:
            continue
        kept.append(made[asked])
        seen += 1
        if seen % 6 != 1:  # a start for each takes minutes
            continue
        loss = ((LEAST,), (LEAST, NAMES), (LEAST, MIXED))[seen % 3]
        lost = pathlib.Path(tempfile.mkdtemp(prefix='lost-', dir=disk.root.parent))
        lost.chmod(0o755)
        disk.rebuild(lost / 'root', loss, owner(s), seed=seen)
        again = own_strata(state=lost / 'root' / 'state').start()
        holds(again, 'power', kept)
        again.stop()
        shutil.rmtree(lost)
    assert seen == len(made)
