"""Alerts reach Debian's own Alertmanager, and one that is away holds up nobody."""
import pathlib
import subprocess

import pytest
import requests

from conftest import BUILD, free_port, wait_for
from test_e20_metrics import ask, program
from test_e21_scrape import folder, put, start, target, value  # noqa: F401 (folder and target are fixtures)

DEBIAN = pathlib.Path('/etc/prometheus/prometheus.yml')
RULES = '''groups:
- name: g
  interval: 1s
  rules:
  - alert: Low
    expr: a < 5
    labels: {severity: page, replica: r1}
    annotations: {summary: "it is {{ $value }}"}
  - alert: Pending
    expr: a < 5
    for: 1h
  - alert: Dropped
    expr: a < 5
'''


class Alertmanager:
    def __init__(self, folder):
        self.port, self.folder, self.process = free_port(), folder, None
        put(folder / 'am.yml', 'route: {receiver: none}\nreceivers: [{name: none}]\n')
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [program('prometheus-alertmanager'), f'--config.file={self.folder}/am.yml', f'--storage.path={self.folder}/am-{self.port}',
             f'--web.listen-address=127.0.0.1:{self.port}', '--cluster.listen-address='], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_for(self.is_ready, 60, 'the Alertmanager is ready')

    def is_ready(self):
        try:
            return requests.get(f'http://127.0.0.1:{self.port}/-/ready', timeout=10).ok
        except requests.ConnectionError:
            return False

    def alerts(self):
        """Those that fire; what has ended is no longer among them."""
        found = requests.get(f'http://127.0.0.1:{self.port}/api/v2/alerts', timeout=10).json()
        return {a['labels']['alertname']: a for a in found}

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@pytest.fixture
def managers(folder):  # noqa: F811
    both = [Alertmanager(folder), Alertmanager(folder)]
    yield both
    for m in both:
        m.kill()


def test_alerts_reach_alertmanagers(own_strata, folder, target, managers):  # noqa: F811
    one, two = managers
    rules = folder / 'rules.yml'
    put(rules, RULES)
    target.pages['/metrics'] = 'a 4\n'
    s = start(own_strata, folder, DEBIAN.read_text(), metrics__max_series=5000)
    assert ask(s, '/alertmanagers')['data'] == {'activeAlertmanagers': [{'url': 'http://localhost:9093/api/v2/alerts'}], 'droppedAlertmanagers': []}
    assert subprocess.run([str(BUILD / 'strata'), 'metrics', 'check', 'config', str(DEBIAN)], capture_output=True, timeout=60).returncode == 0
    put(folder / 'p.yml', f'''
global: {{scrape_interval: 500ms, evaluation_interval: 1s, external_labels: {{site: here, severity: not_this}}}}
alerting:
  alert_relabel_configs:
  - {{regex: replica, action: labeldrop}}
  - {{source_labels: [alertname], regex: Dropped, action: drop}}
  alertmanagers:
  - static_configs: [{{targets: ['127.0.0.1:{one.port}', 'drop.me:1']}}]
    relabel_configs: [{{source_labels: [__address__], regex: 'drop.*', action: drop}}]
  - file_sd_configs: [{{files: [managers.yml]}}]
    path_prefix: /
    alert_relabel_configs: [{{target_label: two, replacement: 'yes'}}]
rule_files: [rules.yml]
scrape_configs:
- job_name: j
  static_configs: [{{targets: ['{target.address}']}}]
''')
    put(folder / 'managers.yml', f"[{{targets: ['127.0.0.1:{two.port}']}}]")
    assert s.api('POST', '/prometheus/-/reload').status_code == 200

    first = wait_for(lambda: one.alerts().get('Low'), 180, 'it fires at the first')
    second = wait_for(lambda: two.alerts().get('Low'), 180, 'it fires at the second')  # found late, it is told a minute later
    assert first['labels'] == {'alertname': 'Low', 'severity': 'page', 'site': 'here', 'instance': target.address, 'job': 'j'}
    assert second['labels'] == {**first['labels'], 'two': 'yes'}
    assert first['annotations'] == {'summary': 'it is 4'} and first['startsAt'] < first['endsAt']
    assert first['generatorURL'] == f'http://{s.listen}/prometheus/graph?g0.expr=a+%3C+5&g0.tab=1'
    assert set(one.alerts()) == set(two.alerts()) == {'Low'}
    seen = ask(s, '/alertmanagers')['data']
    assert [a['url'] for a in seen['activeAlertmanagers']] == [f'http://127.0.0.1:{m.port}/api/v2/alerts' for m in managers]
    assert [a['url'] for a in seen['droppedAlertmanagers']] == ['http://drop.me:1/api/v2/alerts']

    one.kill()
    put(rules, RULES + '  - alert: Meanwhile\n    expr: a < 5\n')
    assert s.api('POST', '/prometheus/-/reload').status_code == 200
    wait_for(lambda: 'Meanwhile' in two.alerts(), 60, 'the second is told although the first is away')
    assert value(s, 'count(ALERTS{alertname="Meanwhile"})') == '1', 'rules go on'
    one.start()
    wait_for(lambda: 'Meanwhile' in one.alerts(), 60, 'the first is told once it is back')
    target.pages['/metrics'] = 'a 5\n'
    wait_for(lambda: not one.alerts() and not two.alerts(), 60, 'they end')
    target.pages['/metrics'] = 'a 5\n' + ''.join(f'b{{i="{i}"}} 1\n' for i in range(6000))
    full = wait_for(lambda: one.alerts().get('StrataMetricsFull'), 60, 'so does the alert of the store itself')
    assert full['labels'] == {'alertname': 'StrataMetricsFull', 'severity': 'warning', 'site': 'here'}
    assert full['annotations']['summary'].startswith('metrics.max_series: there are 5000 series')
    text = s.api('GET', '/metrics').text
    assert f'strata_notifications_dropped_total{{alertmanager="http://127.0.0.1:{one.port}/api/v2/alerts"}} 0\n' in text
    errors = [line for line in text.splitlines() if line.startswith('strata_notifications_errors_total')]
    assert len(errors) == 2 and not errors[0].endswith(' 0') and errors[1].endswith(' 0')
