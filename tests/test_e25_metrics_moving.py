"""Moving from Prometheus: its configuration, its rules, its data and its own tools, with a Prometheus of Debian beside us."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest
import requests

from conftest import free_port, make_busybox_tar, wait_for
from test_e20_metrics import API, ask, program, write

NOW = int(time.time())
PACKAGED = all(shutil.which(p) or os.path.exists(f'/tmp/prom/x/usr/bin/{p}') for p in ('prometheus', 'promtool', 'prometheus-node-exporter'))
pytestmark = pytest.mark.skipif(not PACKAGED, reason='prometheus and node_exporter of Debian are not installed')

RULES = '''groups:
- name: node
  interval: 1s
  rules:
  - record: job:up:count
    expr: count by (job) (up)
  - alert: Gone
    expr: up == 0
    labels: {severity: page}
    annotations: {summary: "{{ $labels.instance }} of {{ $labels.job }} is {{ $value }}"}
'''
CONFIG = '''global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
  external_labels: {{site: one}}
rule_files: ["{dir}/rules.yml"]
scrape_configs:
- job_name: node
  file_sd_configs: [{{files: ["{dir}/targets/*.json"], refresh_interval: 1s}}]
  relabel_configs:
  - source_labels: [__address__]
    regex: '([^:]+):\\d+'
    target_label: host
    replacement: 'h-$1'
  - {{regex: '__meta_filepath', action: labeldrop}}
  - {{source_labels: [rack], regex: 'r9', action: drop}}
  metric_relabel_configs:
  - {{source_labels: [__name__], regex: 'node_(cpu|load|memory|uname).*', action: keep}}
  - {{regex: 'mode', replacement: 'm_mode', action: labelmap}}
- job_name: guarded
  scheme: http
  basic_auth: {{username: prom, password_file: "{dir}/password"}}
  metrics_path: /metrics
  params: {{'collect[]': [loadavg]}}
  static_configs: [{{targets: ["127.0.0.1:{port}"], labels: {{env: prod}}}}]
- job_name: down
  honor_labels: true
  static_configs: [{{targets: ["127.0.0.1:1"]}}]
remote_write:
- url: {url}
  write_relabel_configs: [{{source_labels: [__name__], regex: 'up|node_load1', action: keep}}]
{auth}'''


@pytest.fixture
def moving(own_strata):
    """Node_exporter, and where the user strata may read files."""
    where = pathlib.Path(tempfile.mkdtemp(prefix='strata-moving-', dir='/tmp'))
    where.chmod(0o755)
    (where / 'targets').mkdir()
    port = free_port()
    (where / 'targets/a.json').write_text(json.dumps([{'targets': [f'127.0.0.1:{port}'], 'labels': {'rack': 'r1'}},
                                                      {'targets': ['127.0.0.1:2'], 'labels': {'rack': 'r9'}}]))
    (where / 'password').write_text('secret\n')
    (where / 'rules.yml').write_text(RULES)
    processes = [subprocess.Popen([program('prometheus-node-exporter'), f'--web.listen-address=127.0.0.1:{port}'], stderr=subprocess.DEVNULL)]
    yield where, port, processes
    for p in processes:
        p.kill()
        p.wait()
    shutil.rmtree(where)


def prometheus(where, processes, config, port=None):
    port = port or free_port()
    path = where / 'theirs.yml'
    path.write_text(config)
    data = where / 'data'
    processes.append(subprocess.Popen([program('prometheus'), f'--config.file={path}', f'--storage.tsdb.path={data}', f'--web.listen-address=127.0.0.1:{port}',
                                       '--web.enable-remote-write-receiver', '--web.enable-admin-api'], stderr=(where / 'prometheus.log').open('wb')))
    url = f'http://127.0.0.1:{port}'

    def ready():
        try:
            return requests.get(url + '/-/ready', timeout=5).status_code == 200
        except requests.ConnectionError:
            return False
    wait_for(ready, 60, 'prometheus is ready')
    return url


def theirs(url, query):
    return requests.get(url + API.removeprefix('/prometheus') + '/query', params={'query': query}, timeout=30).json()['data']['result']


def label_sets(result):
    return {tuple(sorted(s['metric'].items())) for s in result}


def test_a_configuration_of_prometheus_gives_the_same(own_strata, moving):
    where, port, processes = moving
    s = own_strata(args=('--set', f'metrics.scrape_config={where}/ours.yml'))
    (where / 'ours.yml').write_text('scrape_configs: []\n')
    s.start()
    (where / 'token').write_text(s.token())
    them = prometheus(where, processes, CONFIG.format(dir=where, port=port, url=s.url + '/prometheus/api/v1/write',
                                                      auth=f'  authorization: {{credentials_file: "{where}/token"}}\n'))
    (where / 'ours.yml').write_text(CONFIG.format(dir=where, port=port, url=them + '/api/v1/write', auth=''))
    checked = s.cli('metrics', 'check', 'config', where / 'ours.yml')
    assert checked.returncode == 0, checked.stderr
    assert s.cli('metrics', 'check', 'rules', where / 'rules.yml').returncode == 0
    r = s.api('POST', '/prometheus/-/reload')
    assert r.status_code == 200, r.text
    for query in ('up{job=~"node|guarded|down",site=""}', '{__name__=~"node_.*",job="node",site=""}', 'job:up:count{job=~"node|guarded|down"}', 'ALERTS{job="down"}'):
        def same():
            ours, other = label_sets(ask(s, '/query', query=query)['data']['result']), label_sets(theirs(them, query))
            return ours and ours == other
        wait_for(same, 60, query)
    def targets(answer):
        return sorted((t['scrapePool'], t['scrapeUrl'], t['health'], tuple(sorted(t['labels'].items()))) for t in answer['data']['activeTargets'])
    def same_targets():
        return [t for t in targets(ask(s, '/targets')) if t[0] in ('node', 'guarded', 'down')] == targets(requests.get(them + '/api/v1/targets', timeout=30).json())
    wait_for(same_targets, 30, 'the same targets')
    assert [t['discoveredLabels']['rack'] for t in ask(s, '/targets')['data']['droppedTargets']] == ['r9']
    # both write to each other, with their outer labels
    wait_for(lambda: ask(s, '/query', query='up{job="guarded",site="one"}')['data']['result'], 60, 'theirs are here')
    wait_for(lambda: theirs(them, 'up{job="strata",site="one"}'), 60, 'ours are there')
    assert not theirs(them, '{__name__="node_load5",site="one"}')
    gone = next(a for a in ask(s, '/alerts')['data']['alerts'] if a['labels']['alertname'] == 'Gone' and a['labels']['job'] == 'down')
    assert gone['labels']['severity'] == 'page' and gone['annotations']['summary'] == '127.0.0.1:1 of down is 0'


PEER = '''storage: {tsdb: {out_of_order_time_window: 1h}}
'''
SENDER = '''global: {{external_labels: {{site: here}}, scrape_interval: 1s, scrape_timeout: 1s}}
rule_files: ["{dir}/slow.yml"]
scrape_configs:
- job_name: node
  static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
  metric_relabel_configs: [{{source_labels: [__name__], regex: node_load1, action: keep}}]
remote_write:
- url: {url}/api/v1/write
  name: peer
  queue_config: {{batch_send_deadline: 500ms, max_samples_per_send: 50}}
  write_relabel_configs: [{{source_labels: [__name__], regex: 'node_load1|late_rule|mv_.*', action: keep}}]
'''
SLOW = '''groups:
- name: slow
  interval: 1s
  query_offset: 20s
  rules: [{record: late_rule, expr: vector(1)}]
'''


def test_a_peer_gets_what_is_committed_whenever_it_is(own_strata, moving):
    """Scrapes, a rule whose samples are of twenty seconds before, remote write of old samples, late ones; what the peer refuses costs nothing else."""
    where, port, processes = moving
    (where / 'slow.yml').write_text(SLOW)
    (where / 'ours.yml').write_text('scrape_configs: []\n')
    them = prometheus(where, processes, PEER)
    (where / 'ours.yml').write_text(SENDER.format(dir=where, port=port, url=them))
    s = own_strata(args=('--set', f'metrics.scrape_config={where}/ours.yml', '--set', 'metrics.out_of_order=10h')).start()
    now, written = int(time.time()), {}

    def put(k, at):
        write(s, [({'__name__': 'mv_old', 'k': str(k), 'i': str(i)}, [(at, float(i))]) for i in range(20)])
        written[k] = written.get(k, 0) + 1

    def have():
        return {x['metric']['k']: float(x['value'][1]) for x in theirs(them, 'sum by (k) (count_over_time(mv_old{site="here"}[3h]))')}
    for at in (now - 600, now - 5, now - 300):  # the last one is late
        put('late', at)
    write(s, [({'__name__': 'mv_ancient'}, [(now - 5 * 3600, 1.0)]), ({'__name__': 'mv_beside'}, [(now - 60, 1.0)])])
    wait_for(lambda: theirs(them, 'last_over_time(late_rule[5m])') and theirs(them, 'node_load1{site="here"}'), 60, 'scrapes and rules')
    peer = processes.pop()
    peer.kill()  # it is away
    peer.wait()
    for k in range(5):
        put(f'away{k}', now - 100 + k)
    s.kill()
    s.start()
    for k in range(5):
        put(f'after{k}', now - 50 + k)
    prometheus(where, processes, PEER, int(them.rsplit(':', 1)[1]))
    wait_for(lambda: have() == {k: 20.0 * n for k, n in written.items()}, 60, 'all of it')
    assert theirs(them, 'mv_beside[10m]') and not theirs(them, 'mv_ancient[1d]')

    def samples(result):
        return {tuple(x) for series in result for x in series['values']}
    for series in ('late_rule', 'node_load1'):
        ours = samples(ask(s, '/query', query=series + '{site=""}[10m]')['data']['result'])
        assert ours
        wait_for(lambda: ours <= samples(theirs(them, series + '{site="here"}[10m]')), 60, series)


def text_of_blocks(where, shift=0):
    lines = ['# TYPE mv_total counter']
    for i in range(3):
        lines += [f'mv_total{{i="{i}"}} {k * (i + 1)} {NOW - 7200 * 3 + k * 60 + shift}' for k in range(300)]
    (where / 'om.txt').write_text('\n'.join([*lines, '# EOF', '']))
    made = subprocess.run([program('promtool'), 'tsdb', 'create-blocks-from', 'openmetrics', str(where / 'om.txt'), str(where / 'blocks')], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return where / 'blocks'


def test_data_of_prometheus_is_taken_over(own_strata, moving):
    where, _, _ = moving
    s = own_strata().start()
    blocks = text_of_blocks(where)
    there = s.state / 'metrics/import/old'
    none = s.cli('metrics', 'tsdb', 'import', 'old')
    assert none.returncode != 0 and 'metrics/import/old' in none.stderr
    for bad in ('', '../secrets', '.', 'a/b'):
        assert s.api('POST', API + '/admin/tsdb/import', data={'name': bad}).status_code == 400, bad
    assert s.api('POST', API + '/admin/tsdb/import', data={'name': 'old'}, user=s.user('mv-nosy')).status_code == 403
    shutil.copytree(blocks, there)
    for path in (there, *there.rglob('*')):
        path.chmod(0o755)
    for _ in range(2):  # once more changes nothing
        said = s.cli('metrics', 'tsdb', 'import', 'old', check=True).stdout
        assert '900 samples' in said, said
        assert ask(s, '/query', query='sum(count_over_time(mv_total[7h]))', time=NOW)['data']['result'][0]['value'][1] == '900'
    name = s.cli('metrics', 'tsdb', 'snapshot', check=True).stdout.strip()
    assert name.startswith('metrics/snapshots/2')
    s.cli('metrics', 'tsdb', 'delete', 'mv_total{i="0"}', check=True)
    assert s.cli('metrics', 'tsdb', 'delete', 'mv_total{').returncode != 0
    count = 'count by (i) (count_over_time(mv_total[7h]))'
    assert len(ask(s, '/query', query=count, time=NOW)['data']['result']) == 2
    s.cli('metrics', 'tsdb', 'delete', 'mv_total{i="1"}', '--start', NOW - 7200 * 3 + 60, check=True)
    assert ask(s, '/query', query='sum(count_over_time(mv_total{i="1"}[7h]))', time=NOW)['data']['result'][0]['value'][1] == '1'
    # restored as the manual says
    s.stop()
    (s.state / 'metrics').rename(s.state / 'metrics.old')
    subprocess.run(['cp', '-a', s.state / 'metrics.old' / name.removeprefix('metrics/'), s.state / 'metrics'], check=True)
    s.start()
    assert len(ask(s, '/query', query=count, time=NOW)['data']['result']) == 3


def test_what_prometheus_deleted_or_took_late_is_taken_over_so(own_strata, moving):
    """Tombstones, and blocks that lie over each other, as samples out of order make them."""
    where, _, processes = moving
    for shift in (0, 30):
        shutil.copytree(text_of_blocks(where, shift), where / 'data', dirs_exist_ok=True)
    them = prometheus(where, processes, '{}')
    for match, end in (('mv_total{i="2"}', NOW), ('mv_total{i="1"}', NOW - 7200 * 3 + 100 * 60)):
        r = requests.post(f'{them}/api/v1/admin/tsdb/delete_series', params={'match[]': match, 'end': end}, timeout=30)
        assert r.status_code == 204, r.text
    asked = [f'{f}(mv_total[8h])' for f in ('count_over_time', 'sum_over_time', 'changes')]
    want = [sorted((str(x['metric']), x['value'][1]) for x in theirs(them, q)) for q in asked]
    assert [n for _, n in want[0]] == ['600', '399'], want
    processes[-1].terminate()
    processes[-1].wait()
    s = own_strata().start()
    shutil.copytree(where / 'data', s.state / 'metrics/import/data')
    for path in (s.state / 'metrics/import', *(s.state / 'metrics/import').rglob('*')):
        path.chmod(0o755)
    s.cli('metrics', 'tsdb', 'import', 'data', check=True)
    assert [sorted((str(x['metric']), x['value'][1]) for x in ask(s, '/query', query=q)['data']['result']) for q in asked] == want


def test_a_member_sees_the_containers_of_his_jobs(own_strata, scratch):
    s = own_strata().start()
    s.user('mv-member', 'mv-one', 'developer')
    s.user('mv-other', 'mv-two', 'developer')
    make_busybox_tar(scratch / 'mv.tar')
    s.cli('image', 'push', 'mv-one/busybox:1', '--tar', scratch / 'mv.tar', '--cmd', '/bin/sh', check=True)
    r = s.api('POST', '/api/v1/projects/mv-one/jobs', user='mv-member', json={'image': 'mv-one/busybox:1', 'command': ['sleep', '300']})
    assert r.status_code == 202, r.text
    job = r.json()['id']
    query = f'container_memory_usage_bytes{{job="{job}"}}'
    found = wait_for(lambda: ask(s, '/query', query=query, user='mv-member')['data']['result'], 90, 'the container')
    labels = found[0]['metric']
    assert (labels['project'], labels['user'], labels['image'], labels['job']) == ('mv-one', 'mv-member', 'mv-one/busybox:1', job)
    assert ask(s, '/query', query=query, user='mv-other')['data']['result'] == []
    assert ask(s, '/query', query='node_load1', user='mv-member')['data']['result'] == []
