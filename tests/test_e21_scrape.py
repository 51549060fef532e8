"""Scraping and remote write: what Prometheus' configuration promises, targets that mean ill, peers that come and go."""
import gzip
import http.server
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import threading
import time

import pytest
import requests

from conftest import free_port, wait_for
from test_e20_metrics import API, ask, program, push

HAS_PROMETHEUS = any(os.path.exists(p) for p in ('/usr/bin/prometheus', '/tmp/prom/x/usr/bin/prometheus'))


class Target:
    """Answers /metrics with what it is told: text, a type, or one of the tricks below."""

    def __init__(self, host='127.0.0.1'):
        self.pages = {}
        self.heard = {}
        self.stop = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers['Content-Length']))
                self.do_GET()

            def do_GET(self):
                outer.heard[self.path] = dict(self.headers)
                page = outer.pages.get(self.path.split('?')[0])
                if page == 'hang':
                    outer.stop.wait(60)
                    return
                if page is None:
                    self.send_error(404)
                    return
                if page[0] == 'redirect':
                    self.send_response(302)
                    self.send_header('Location', page[1])
                    self.send_header('Content-Length', '0')
                    self.end_headers()
                    return
                body, kind = page if isinstance(page, tuple) else (page, 'text/plain; version=0.0.4')
                self.send_response(200)
                self.send_header('Content-Type', kind)
                if body == 'endless':
                    self.end_headers()
                    while not outer.stop.is_set():
                        try:
                            self.wfile.write(b'# endless\n' * 10000)
                        except OSError:
                            return
                    return
                data = body.encode()
                if 'gzip' in self.headers.get('Accept-Encoding', ''):
                    data = gzip.compress(data)
                    self.send_header('Content-Encoding', 'gzip')
                self.send_header('Content-Length', str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer((host, 0), Handler)
        self.port = self.server.server_address[1]
        self.address = f'{host}:{self.port}'
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.stop.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def target():
    t = Target()
    yield t
    t.close()


@pytest.fixture
def folder():
    """Where the user strata may read."""
    base = pathlib.Path(f'/tmp/strata-scrape-{free_port()}')
    base.mkdir(mode=0o755)
    yield base
    shutil.rmtree(base)


def put(path, text):
    beside = path.with_name('.' + path.name)
    beside.write_text(text)
    beside.chmod(0o644)
    beside.rename(path)


def start(own_strata, folder, config, **settings):
    put(folder / 'p.yml', config)
    more = [x for key, v in settings.items() for x in ('--set', f'{key.replace("__", ".")}={v}')]
    return own_strata(args=('--set', f'metrics.scrape_config={folder}/p.yml', *more)).start()


def value(s, query):
    found = ask(s, '/query', query=query)['data']['result']
    return found[0]['value'][1] if found else None


def target_of(s, pool):
    found = [t for t in ask(s, '/targets')['data']['activeTargets'] if t['scrapePool'] == pool]
    return found[0] if found else None


def test_targets_are_found_relabeled_and_forgotten(own_strata, folder, target):
    target.pages['/metrics'] = '# TYPE a gauge\na{x="1"} 5\nb 1\n'
    target.pages['/other'] = ('# TYPE o counter\no_total 7\n# EOF\n', 'application/openmetrics-text; version=1.0.0')
    target.pages['/sd'] = (json.dumps([{'targets': [target.address], 'labels': {'__metrics_path__': '/other'}}]), 'application/json')
    put(folder / 't.json', json.dumps([{'targets': [target.address, 'drop.me:1'], 'labels': {'rack': 'r1', '__meta_zone': 'z'}}]))
    s = start(own_strata, folder, f"""
global: {{scrape_interval: 500ms}}
scrape_configs:
- job_name: files
  file_sd_configs: [{{files: [t*.json]}}]
  relabel_configs:
  - {{source_labels: [__address__], regex: 'drop.*', action: drop}}
  - {{source_labels: [__meta_zone], target_label: zone}}
  metric_relabel_configs:
  - {{source_labels: [__name__], regex: b, action: drop}}
- job_name: http
  http_sd_configs: [{{url: 'http://{target.address}/sd', refresh_interval: 1s}}]
""")
    wait_for(lambda: value(s, 'a{rack="r1",zone="z",x="1"}') == '5', 60, 'the target of the file')
    wait_for(lambda: value(s, 'o_total{job="http"}') == '7', 60, 'the target of HTTP')
    assert value(s, 'b{job="files"}') is None and value(s, 'scrape_samples_post_metric_relabeling{job="files"}') == '1'
    assert 'openmetrics' in target.heard['/metrics']['Accept'] and target.heard['/metrics']['X-Prometheus-Scrape-Timeout-Seconds'] == '0.5'
    dropped = ask(s, '/targets')['data']['droppedTargets']
    assert [d['discoveredLabels']['__address__'] for d in dropped] == ['drop.me:1']
    put(folder / 't.json', '[]')
    wait_for(lambda: value(s, 'a') is None and value(s, 'up{job="files"}') is None, 60, 'the series end')
    assert value(s, 'o_total') == '7'


def test_targets_that_mean_ill_are_down_and_harm_nobody(own_strata, folder, target):
    target.pages.update({'/good': 'good 1\n', '/hang': 'hang', '/endless': 'endless', '/invalid': 'a 1\nb eins\n', '/html': ('<html>', 'text/html'),
                         '/many': ''.join(f'many{{i="{i}"}} 1\n' for i in range(5000)), '/bytes': 'x{a="\x00\u2603\\n\\""} 1\n'})
    jobs = ''.join(f'- {{job_name: {p}, metrics_path: /{p}, scrape_interval: 1s, sample_limit: 1000, body_size_limit: 10MB, '
                   f'static_configs: [{{targets: ["{target.address}"]}}]}}\n' for p in ('good', 'hang', 'endless', 'invalid', 'html', 'many', 'bytes'))
    s = start(own_strata, folder, 'scrape_configs:\n' + jobs)
    for pool, why in (('hang', 'in time'), ('endless', ''), ('invalid', 'line 2'), ('html', 'text/html'), ('many', 'sample limit exceeded')):
        down = wait_for(lambda p=pool: (t := target_of(s, p)) and t['health'] == 'down' and t, 60, f'{pool} is down')
        assert down['lastError'] and why in down['lastError']
        wait_for(lambda p=pool: value(s, f'up{{job="{p}"}}') == '0', 30, 'up is 0')
    wait_for(lambda: value(s, 'good') == '1' and value(s, 'up{job="good"}') == '1', 30, 'the good one')
    assert value(s, 'a') is None and value(s, 'count(many)') is None and value(s, 'scrape_samples_scraped{job="many"}') == '5000'
    wait_for(lambda: value(s, 'x{a="\\u0000\u2603\\n\\""}') == '1', 30, 'any bytes')


def test_members_see_of_a_target_what_is_no_secret(own_strata, folder, target):
    target.pages['/metrics'] = 'a 1\n'
    s = start(own_strata, folder, f"""
scrape_configs:
- job_name: j
  scrape_interval: 500ms
  params: {{token: [hidden-1], module: ['hidden-2 x']}}
  static_configs: [{{targets: ['{target.address}'], labels: {{project: tg-one, instance: i, __meta_key: hidden-4}}}}]
- {{job_name: dropped, relabel_configs: [{{action: drop}}], static_configs: [{{targets: ['x:1'], labels: {{project: tg-one, __meta_key: hidden-5}}}}]}}
""", metrics__project_series=20)
    s.user('tg-dev', 'tg-one', 'maintainer')
    s.user('tg-other', 'tg-two', 'maintainer')
    wait_for(lambda: all(t['health'] == 'up' for t in ask(s, '/targets')['data']['activeTargets'] if t['scrapePool'] == 'j'), 60, 'it is up')
    mine = ask(s, '/targets', user='tg-dev')['data']
    assert 'hidden' not in str(mine) and mine['droppedTargets'] == [] and len(mine['activeTargets']) == 1
    assert {t['scrapeUrl'] for t in mine['activeTargets']} == {f'http://{target.address}/metrics?token=xxxxx&module=xxxxx'}
    assert all(t['health'] == 'up' and t['labels']['project'] == 'tg-one' and t['discoveredLabels'] == {} for t in mine['activeTargets'])
    new = [({'__name__': 'pushed', 'i': str(i)}, [(time.time(), i)]) for i in range(30)]
    r = push(s, new, 'tg-dev', 'tg-one')
    assert r.status_code == 400 and 'metrics.project_series' in r.text
    assert value(s, 'count({project="tg-one"})') == '20' and value(s, 'pushed{i="0"}') == '0', 'as many as there is room for'
    assert push(s, new, 'tg-other', 'tg-two').status_code == 400 and value(s, 'count(pushed{project="tg-two"})') == '20'
    assert push(s, new[:3], 'tg-dev', 'tg-one').status_code == 204, 'what is there goes on'
    assert ask(s, '/targets', user='tg-other')['data']['activeTargets'] == []
    assert all(f'hidden-{i}' in str(ask(s, '/targets')['data']) for i in (1, 2, 4, 5)), 'administrators see it all'


def test_a_new_project_of_an_old_name_sees_nothing_of_the_old_one(own_strata, folder, target):
    target.pages['/metrics'] = 'mine{project="again",container="old-secret"} 1\nother{container="x"} 1\n'
    put(folder / 'rules.yml', 'groups: [{name: g, interval: 1s, rules: [{alert: Kept, expr: "mine > 0", keep_firing_for: 1h}, {record: copied, expr: "mine"}]}]\n')
    s = start(own_strata, folder, f"""
rule_files: ['{folder}/rules.yml']
scrape_configs:
- {{job_name: node, scrape_interval: 2s, honor_labels: true, static_configs: [{{targets: ['{target.address}']}}]}}
""")
    s.user('ag-old', 'again', 'guest')
    wait_for(lambda: ask(s, '/alerts', user='ag-old')['data']['alerts'] and value(s, 'copied'), 60, 'what the old one sees')
    target.pages['/metrics'] = 'other{container="x"} 1\n'
    assert s.api('DELETE', '/api/v1/projects/again').status_code == 204
    s.user('ag-new', 'again', 'guest')
    before = float(value(s, 'scrape_samples_scraped{job="node"} * 0 + timestamp(up{job="node"})'))
    for _ in range(2):
        everything = {path: ask(s, path, user='ag-new', **({'match[]': '{project="again"}'} if path == '/series' else {}))['data'] for path in
                      ('/series', '/labels', '/label/container/values', '/label/__name__/values', '/alerts')}
        assert everything == {'/series': [], '/labels': [], '/label/container/values': [], '/label/__name__/values': [], '/alerts': {'alerts': []}}
        assert ask(s, '/query', user='ag-new', query='last_over_time({project="again"}[1h])')['data']['result'] == []
        wait_for(lambda: float(value(s, 'timestamp(up{job="node"})')) >= before + 2, 60, 'another scrape')
    assert ask(s, '/series', **{'match[]': '{project="again"}'})['data'] == [], 'nor do administrators'


def test_nothing_goes_where_the_server_does_not_and_secrets_stay_with_their_host(own_strata, folder, target):
    other, denied = Target('127.0.0.2'), Target('127.0.0.3')
    try:
        denied.pages['/metrics'] = other.pages['/metrics'] = 'found 1\n'
        target.pages.update({'/far': ('redirect', f'http://{other.address}/metrics'), '/near': ('redirect', '/metrics'), '/metrics': 'found 1\n',
                             '/bad': ('redirect', f'http://{denied.address}/metrics'), '/send': ('redirect', f'http://{denied.address}/write')})
        job = '- {{job_name: {0}, metrics_path: /{0}, scrape_interval: 500ms, authorization: {{credentials: key1}}, ' \
              'http_headers: {{X-Key: {{secrets: [key2]}}}}, static_configs: [{{targets: ["{1}"]}}]}}\n'
        s = start(own_strata, folder, 'scrape_configs:\n' + ''.join(job.format(p, target.address) for p in ('far', 'near', 'bad')) + job.format('metrics', denied.address)
                  + f'- {{job_name: sd, http_sd_configs: [{{url: "http://{denied.address}/sd", refresh_interval: 1s}}]}}\n'
                  + f'- {{job_name: docker, docker_sd_configs: [{{host: "tcp://{denied.address}", refresh_interval: 1s}}]}}\n'
                  + f'- {{job_name: k8s, kubernetes_sd_configs: [{{role: node, api_server: "http://{denied.address}"}}]}}\n'
                  + f'remote_write:\n- {{url: "http://{denied.address}/write", queue_config: {{batch_send_deadline: 1s}}}}\n'
                  + f'- {{url: "http://{target.address}/send", queue_config: {{batch_send_deadline: 1s}}}}\n', net__outbound_deny='127.0.0.3,169.254.0.0/16')
        for pool in ('bad', 'metrics'):
            down = wait_for(lambda p=pool: (t := target_of(s, p)) and t['health'] == 'down' and t, 60, f'{pool} is down')
            assert 'net.outbound_deny' in down['lastError']
        wait_for(lambda: value(s, 'found{job="far"}') == '1' and value(s, 'found{job="near"}') == '1', 60, 'redirects are followed')
        assert target.heard['/metrics']['X-Key'] == 'key2' and target.heard['/metrics']['Authorization'] == 'Bearer key1'
        assert target.heard['/far']['X-Key'] == 'key2'
        assert not {'X-Key', 'Authorization'} & set(other.heard['/metrics']) and 'Accept' in other.heard['/metrics']
        wait_for(lambda: '/send' in target.heard, 60, 'samples are sent')
        wait_for(lambda: s.log().count('leads to an address that this server does not connect to') >= 5, 60, 'each of them says so')
        assert denied.heard == {}
    finally:
        other.close()
        denied.close()


def test_a_configuration_is_checked_as_promtool_does(strata, folder):
    put(folder / 'good.yml', 'scrape_configs:\n- job_name: a\n  static_configs: [{targets: [a:1]}]\n')
    put(folder / 'bad.yml', 'scrape_configs:\n- job_name: a\n  consul_sd_configs: [{server: x}]\n')
    good = strata.cli('metrics', 'check', 'config', str(folder / 'good.yml'))
    assert good.returncode == 0 and 'SUCCESS' in good.stdout
    bad = strata.cli('metrics', 'check', 'config', str(folder / 'bad.yml'))
    assert bad.returncode != 0 and 'bad.yml:3: consul_sd_configs' in bad.stdout + bad.stderr
    # all of them at once, each with its line
    put(folder / 'bad.yml', 'tracing: {}\nglobal: {query_log_file: x}\nscrape_configs:\n- &a {job_name: a, nonsense: 1, scrape_interval: 5}\n- {<<: *a, job_name: b}\n'
                            '- job_name: c\n  relabel_configs: [{action: kepp}]\nremote_write:\n- {url: http://x, sigv4: {}}\n- {name: y}\nstorage: {}\n')
    bad = strata.cli('metrics', 'check', 'config', str(folder / 'bad.yml'))
    found = [line.split('bad.yml:')[1].split(': ')[:2] for line in bad.stdout.splitlines() if 'FAILED' in line]
    assert found == [['1', 'tracing'], ['11', 'storage'], ['2', 'query_log_file'], ['4', 'nonsense'], ['4', 'scrape_interval'], ['7', 'unknown action "kepp"'], ['9', 'sigv4'], ['10', 'remote write needs url']], bad.stdout


FIELD = """
global:
  scrape_interval: 15s
  scrape_protocols: [OpenMetricsText1.0.0, OpenMetricsText0.0.1, PrometheusText1.0.0, PrometheusText0.0.4]
  metric_name_validation_scheme: utf8
  metric_name_escaping_scheme: allow-utf-8
  scrape_native_histograms: false
  always_scrape_classic_histograms: true
  convert_classic_histograms_to_nhcb: false
  body_size_limit: 15MB
  keep_dropped_targets: 10
  external_labels: {monitor: codelab}
  runtime: {gogc: 75}
scrape_configs:
- job_name: blackbox
  metrics_path: /probe
  params: {module: [http_2xx]}
  static_configs: [{targets: ['http://prometheus.io', 'https://example.com:8080/a?b=c']}]
  relabel_configs:
  - {source_labels: [__address__], target_label: __param_target}
  - {source_labels: [__param_target], target_label: instance}
  - {target_label: __address__, replacement: '127.0.0.1:9115'}
- job_name: utf8
  fallback_scrape_protocol: PrometheusText0.0.4
  scrape_classic_histograms: true
  track_timestamps_staleness: true
  metric_relabel_configs:
  - {source_labels: ['my.label', "☃"], target_label: 'dot.ted', action: replace}
  static_configs: [{targets: ['[2001:db8::1]:9116', localhost]}]
- job_name: kubernetes-pods
  kubernetes_sd_configs: [{role: pod, namespaces: {names: [a]}, attach_metadata: {node: true}}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], action: keep, regex: true}
  - {source_labels: [__address__, __meta_kubernetes_pod_annotation_prometheus_io_port], regex: '([^:]+)(?::\\d+)?;(\\d+)', replacement: '$1:$2', target_label: __address__}
  - {action: labelmap, regex: __meta_kubernetes_pod_label_(.+)}
- job_name: guarded
  scheme: https
  authorization: {type: Bearer, credentials: x}
  http_headers: {X-Scope: {values: [a]}}
  tls_config: {insecure_skip_verify: true, min_version: TLS12}
  follow_redirects: false
  enable_http2: false
  proxy_url: http://127.0.0.1:3128
  no_proxy: localhost
  static_configs: [{targets: [a:1]}]
"""


def test_what_is_written_for_prometheus_3_loads(strata, folder):
    put(folder / 'field.yml', FIELD)
    r = strata.cli('metrics', 'check', 'config', str(folder / 'field.yml'))
    assert r.returncode == 0, r.stdout
    lines = FIELD.splitlines()
    for key, value in (('native_histogram_bucket_limit', 100), ('scrape_native_histograms', 'true'), ('scrape_protocols', '[PrometheusProto]'), ('oauth2', '{client_id: a}'),
                       ('scrape_failure_log_file', 'x')):
        at = lines.index('- job_name: utf8') + 1
        put(folder / 'field.yml', '\n'.join([*lines[:at], f'  {key}: {value}', *lines[at:]]))
        r = strata.cli('metrics', 'check', 'config', str(folder / 'field.yml'))
        assert r.returncode == 1 and f'field.yml:{at + 1}: {key}: ' in r.stdout, r.stdout


def is_ready(port):
    try:
        return requests.get(f'http://127.0.0.1:{port}/-/ready', timeout=5).ok
    except requests.ConnectionError:
        return False


@pytest.mark.skipif(not HAS_PROMETHEUS, reason='no prometheus')
def test_a_peer_gets_everything_though_it_was_away_and_we_were_killed(own_strata, folder, target):
    port = free_port()
    target.pages['/metrics'] = ''.join(f'kept{{i="{i}"}} {i}\n' for i in range(50))
    put(folder / 'prom.yml', '{}')

    def prometheus():
        p = subprocess.Popen([program('prometheus'), f'--config.file={folder}/prom.yml', f'--storage.tsdb.path={folder}/data', '--web.enable-remote-write-receiver',
                              f'--web.listen-address=127.0.0.1:{port}'], stderr=subprocess.DEVNULL)
        wait_for(lambda: is_ready(port), 60, 'prometheus')
        return p

    def there(query):
        found = requests.get(f'http://127.0.0.1:{port}/api/v1/query', params={'query': query}, timeout=10).json()['data']['result']
        return float(found[0]['value'][1]) if found else 0
    p = prometheus()
    try:
        s = start(own_strata, folder, f"""
global: {{external_labels: {{site: here}}}}
scrape_configs:
- {{job_name: j, scrape_interval: 500ms, static_configs: [{{targets: ['{target.address}']}}]}}
remote_write:
- url: http://127.0.0.1:{port}/api/v1/write
  name: peer
  queue_config: {{batch_send_deadline: 1s}}
  write_relabel_configs:
  - {{source_labels: [__name__], regex: 'kept|up', action: keep}}
""")
        wait_for(lambda: there('sum(kept{site="here"})') == 1225, 60, 'samples arrive')
        assert there('count({__name__=~"scrape_.*"})') == 0
        p.kill()
        p.wait()
        before = float(value(s, 'sum(count_over_time(kept[1h]))'))
        wait_for(lambda: float(value(s, 'sum(count_over_time(kept[1h]))')) >= before + 200, 60, 'more samples while it is away')
        s.kill()
        s.start()
        p = prometheus()
        wait_for(lambda: value(s, 'kept{i="1"}') == '1', 60, 'scraping goes on')

        def settled():
            t = int(time.time()) - 2
            return t if float(value(s, f'sum(count_over_time(kept[1h] @ {t})) or vector(0)')) >= before + 200 else 0
        at = wait_for(settled, 60, 'what was there at the kill is some seconds old')
        first = there('min_over_time(timestamp(kept{i="1"})[1h:1s])')
        mine = float(ask(s, '/query', query=f'sum(count_over_time(kept[1h] @ {at})) - sum(count_over_time(kept[1h] @ {int(first)}) or vector(0))')['data']['result'][0]['value'][1])
        wait_for(lambda: there(f'sum(count_over_time(kept[1h] @ {at})) - sum(count_over_time(kept[1h] @ {int(first)}) or vector(0))') == mine, 60, 'it has what we have')
    finally:
        p.kill()
        p.wait()


@pytest.fixture
def docker():
    """Debian's dockerd, of this test alone; its socket open for the user strata."""
    if not all(shutil.which(p) for p in ('dockerd', 'docker', 'busybox')):
        pytest.skip('no docker')
    path = pathlib.Path(f'/tmp/strata-sd-docker-{os.getpid()}')
    path.mkdir(mode=0o755)
    env = {**os.environ, 'DOCKER_HOST': f'unix://{path}/sock', 'DOCKER_CONFIG': str(path / 'config')}
    call = lambda *a, **kw: subprocess.run(['docker', *a], env=env, capture_output=True, timeout=60, **kw)
    with open(path / 'log', 'wb') as log:
        daemon = subprocess.Popen(['dockerd', '--bridge=none', '--iptables=false', '-s', 'vfs', '--data-root', path / 'data', '--exec-root', path / 'exec',
                                   '-H', f'unix://{path}/sock', '--pidfile', path / 'pid'], stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(lambda: daemon.poll() is not None or call('version').returncode == 0, 60, 'dockerd answers')
        if daemon.poll() is not None:
            pytest.skip('dockerd does not start here: ' + (path / 'log').read_text()[-500:])
        (path / 'sock').chmod(0o666)
        yield path / 'sock', call
        ids = call('ps', '-aq').stdout.split()
        if ids:
            call('rm', '-f', *ids)
    finally:
        daemon.terminate()
        daemon.wait(30)
        shutil.rmtree(path, ignore_errors=True)


def test_containers_of_a_real_docker_are_found(own_strata, folder, target, docker):
    sock, call = docker
    target.pages['/metrics'] = 'contained 1\n'
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as tar:
        tar.add(os.path.realpath(shutil.which('busybox')), 'bin/busybox')
    assert call('import', '-', 'sd:1', input=buffer.getvalue()).returncode == 0
    run = lambda name, *more: call('run', '-d', '--network', 'host', '--name', name, *more, 'sd:1', '/bin/busybox', 'sleep', '600')
    first = run('sd-one', '--label', f'port={target.port}', '--label', 'team=vision')
    if first.returncode != 0:
        pytest.skip('docker runs no container here: ' + first.stderr.decode()[-300:])
    s = start(own_strata, folder, f"""
scrape_configs:
- job_name: docker
  scrape_interval: 500ms
  docker_sd_configs: [{{host: 'unix://{sock}', refresh_interval: 1s, host_networking_host: 127.0.0.1}}]
  relabel_configs:
  - {{source_labels: [__address__, __meta_docker_container_label_port], separator: ':', target_label: __address__}}
  - {{source_labels: [__meta_docker_container_name], target_label: container}}
  - {{regex: __meta_docker_container_label_(team), action: labelmap}}
""")
    wait_for(lambda: value(s, 'contained{container="/sd-one",team="vision"}') == '1', 60, 'the container is scraped')
    assert target_of(s, 'docker')['discoveredLabels']['__meta_docker_container_network_mode'] == 'host'
    assert call('rm', '-f', 'sd-one').returncode == 0
    wait_for(lambda: target_of(s, 'docker') is None, 60, 'it is forgotten')
