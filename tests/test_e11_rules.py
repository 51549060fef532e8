"""Rule files and the tests written for them: promtool and we say the same about each."""
import json
import os
import subprocess

import pytest

from conftest import BUILD

PROMTOOL = os.environ.get('PROMETHEUS_BIN', '/usr/bin') + '/promtool'

RULES = r'''
groups:
  - name: recording
    interval: 30s
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
        labels: {team: infra, job_copy: ''}
      - record: job:up:double
        expr: job:up:sum * 2
      - record: constant
        expr: 42
  - name: alerts
    limit: 5
    rules:
      - alert: InstanceDown
        expr: up == 0
        for: 5m
        labels:
          severity: page
          where: "{{ $labels.instance | toUpper }}"
        annotations:
          summary: "Instance {{ $labels.instance }} down: {{ $value }}"
          more: '{{ printf "%.2f|%v|%s" $value $value $labels.job }} {{- " x" }}'
      - alert: Numbers
        expr: number
        annotations:
          plain: '{{ $value }} {{ .Value }} {{ printf "%g %e %.3f %5.1f%%" $value $value $value $value }}'
          human: '{{ humanize $value }} {{ $value | humanize1024 }} {{ humanizePercentage $value }}'
          times: '{{ humanizeDuration $value }} {{ if_not }}'
          words: '{{ title "some words" }} {{ toLower "ABC" }} {{ reReplaceAll "n(.)" "<$1>" $labels.i }} {{ match "^n" $labels.i }}'
          outside: '{{ $externalLabels.site }} {{ $externalURL }}'
'''.replace(' {{ if_not }}', '')

NUMBERS = ('0', '1', '-1', '0.5', '1234567.5', '1e12', '0.00012', '59.5', '86461', '3725', '-125', '1e-9', '1024')

TESTS = '''
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    name: down
    external_labels: {site: here}
    external_url: http://strata.example
    input_series:
      - {series: 'up{job="x", instance="a"}', values: '1 1 0x10 1x10'}
      - {series: 'up{job="x", instance="b"}', values: '1 0+0x20'}
      - {series: 'up{job="y", instance="c"}', values: '1x3 stale _x4 1-0.25x3'}
%s
    alert_rule_test:
      - {eval_time: 5m, alertname: InstanceDown}
      - eval_time: 10m
        alertname: InstanceDown
        exp_alerts:
          - exp_labels: {severity: page, instance: a, job: x, where: A}
            exp_annotations: {summary: "Instance a down: 0", more: "0.00|0|x x"}
          - exp_labels: {severity: page, instance: b, job: x, where: B}
            exp_annotations: {summary: "Instance b down: 0", more: "0.00|0|x x"}
      - eval_time: 14m
        alertname: InstanceDown
        exp_alerts:
          - exp_labels: {severity: page, instance: b, job: x, where: B}
            exp_annotations: {summary: "Instance b down: 0", more: "0.00|0|x x"}
    promql_expr_test:
      - expr: job:up:double
        eval_time: 2m
        exp_samples:
          - {labels: 'job:up:double{job="x", team="infra"}', value: 0}
          - {labels: 'job:up:double{job="y", team="infra"}', value: 2}
      - {expr: 'job:up:sum{job="y"}', eval_time: 5m}
      - {expr: constant, eval_time: 90s, exp_samples: [{labels: constant, value: 4.2e+1}]}
      - expr: count(ALERTS{alertname="InstanceDown"})
        eval_time: 0m
        exp_samples: []
      - expr: count(ALERTS{alertname="InstanceDown"}) by (alertstate)
        eval_time: 4m
        exp_samples: [{labels: '{alertstate="pending"}', value: 2}]
      - expr: ALERTS_FOR_STATE{instance="b"}
        eval_time: 4m
        exp_samples:
          - {labels: 'ALERTS_FOR_STATE{alertname="InstanceDown", instance="b", job="x", severity="page", where="B"}', value: 60}
'''


def theirs(*args):
    return subprocess.run([PROMTOOL, *args], capture_output=True, text=True, timeout=60)


def ours(*args):
    return subprocess.run([str(BUILD / 'strata'), *args], capture_output=True, text=True, timeout=60)


def write(tmp_path, rules=RULES, tests=TESTS % ''):
    (tmp_path / 'rules.yml').write_text(rules)
    (tmp_path / 'tests.yml').write_text(tests)
    return str(tmp_path / 'rules.yml'), str(tmp_path / 'tests.yml')


def test_tests_that_promtool_passes_pass(tmp_path):
    rules, tests = write(tmp_path)
    assert theirs('test', 'rules', tests).returncode == 0
    run = ours('metrics', 'test', tests)
    assert run.returncode == 0 and 'SUCCESS' in run.stdout, run.stdout + run.stderr
    assert ours('metrics', 'check', 'rules', rules).stdout.endswith('SUCCESS: 5 rules found\n')


@pytest.mark.parametrize('change', [
    ("'1 0+0x20'", "'1 1+0x20'"), ('value: 2}', 'value: 3}'), ('eval_time: 14m', 'eval_time: 4m'),
    ('"0.00|0|x x"', '"0.0|0|x x"'), ('severity: page, instance: b', 'severity: page2, instance: b'),
    ('{labels: constant, value: 4.2e+1}', ''), ('value: 60}', 'value: 61}')])
def test_tests_that_promtool_fails_fail(tmp_path, change):
    tests = (TESTS % '').replace(*change, 1)
    assert tests != TESTS % ''
    _, path = write(tmp_path, tests=tests)
    assert theirs('test', 'rules', path).returncode == 1
    run = ours('metrics', 'test', path)
    assert run.returncode == 1 and 'FAILED' in run.stdout, run.stdout + run.stderr
    again = ours('--json', 'metrics', 'test', path)
    assert again.returncode == 1 and json.loads(again.stdout)[0]['failed'] == 1


def test_templates_give_what_promtool_gives(tmp_path):
    """What comes of each annotation is read from our report, and promtool must find it right."""
    for number in NUMBERS:
        case = (TESTS % f"      - {{series: 'number{{i=\"n1\"}}', values: '{number}x9'}}").replace(
            '    promql_expr_test:', '      - {eval_time: 1m, alertname: Numbers, exp_alerts: [%s]}\n    promql_expr_test:')
        _, path = write(tmp_path, tests=case % '')
        run = json.loads(ours('--json', 'metrics', 'test', path).stdout)[0]
        came = run['report'].split('came:\n')[1].split('annotations ')[1].strip()
        pairs = dict(p.split('="', 1) for p in came.strip('{}').rstrip('"').split('", '))
        expected = json.dumps({'exp_labels': {'i': 'n1'}, 'exp_annotations': pairs})
        _, path = write(tmp_path, tests=case % expected)
        assert ours('metrics', 'test', path).returncode == 0
        checked = theirs('test', 'rules', path)
        assert checked.returncode == 0, f'{number}: {checked.stdout}{checked.stderr}'


@pytest.mark.parametrize('rules', [
    'groups: [{name: a, rules: [{record: x, expr: "sum("}]}]', 'groups: [{name: a, rules: [{record: x}]}]',
    'groups: [{name: a, intervall: 1m}]', 'groups: [{name: a}, {name: a}]', 'groups: [{rules: []}]', 'group: []',
    'groups: [{name: a, rules: [{record: x, alert: y, expr: up}]}]', 'groups: [{name: a, rules: [{expr: up}]}]',
    'groups: [{name: a, rules: [{record: x, expr: up, for: 5m}]}]',
    'groups: [{name: a, rules: [{record: x, expr: up, annotations: {a: b}}]}]',
    'groups: [{name: a, rules: [{alert: x, expr: up, for: often}]}]',
    'groups: [{name: a, rules: [{alert: x, expr: up, labels: {__name__: b}}]}]',
    'groups: [{name: a, rules: [{alert: x, expr: up, annotations: {a: "{{ $value | nope }}"}}]}]',
    'groups: [{name: a, rules: [{alert: x, expr: up, annotations: {a: "{{ $value "}}]}]', 'groups: {'])
def test_both_refuse(tmp_path, rules):
    path, _ = write(tmp_path, rules=rules)
    assert theirs('check', 'rules', path).returncode != 0
    run = ours('metrics', 'check', 'rules', path)
    assert run.returncode == 1 and 'SUCCESS' not in run.stdout, run.stdout + run.stderr
