"""Rule files and the tests written for them: promtool and we say the same about each."""
import ast
import json
import os
import re
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


# What rule files of the field do with Go's templates, and what their authors may try.
TEMPLATES = r'''
{{ with query "max(up)" }}{{ . | first | value | humanize }}{{ end }}
{{ with printf "sum(up{job='%s'})" $labels.job | query }}{{ . | first | value | printf "%.2f" }}{{ end }}
{{ with query "nothing" }}x{{ else }}none{{ end }}
{{ range query "up" | sortByLabel "instance" }}{{ .Labels.instance }}={{ .Value }} {{ end }}
{{ range $i, $s := query "up" | sortByLabel "instance" }}{{ if $i }}, {{ end }}{{ $i }}:{{ label "instance" $s }}{{ end }}
{{ range query "sum by (job) (up)" | sortByLabel "job" }}{{ .Labels.job }} {{ value . }}{{ break }}{{ end }}
{{ range query "nothing" }}x{{ else }}nobody{{ end }}
{{ range $k, $v := $labels }}[{{ $k }}={{ $v }}]{{ end }}
{{ if gt $value 90.0 }}high{{ else }}low{{ end }}
{{ if eq $labels.job "y" "x" }}yes{{ end }}
{{ if and (lt $value 1e9) (ge $value -1e9) }}in{{ else if true }}out{{ end }}
{{ if or (eq $labels.none "") false }}empty{{ end }}
{{ if not (match "^x" $labels.job) }}no{{ else }}yes{{ end }}
{{ $x := $value | humanize }}{{ $x }} {{ $x = "other" }}{{ $x }}
{{ with $n := len $labels }}{{ $n }} {{ . }}{{ end }}
{{ define "t" }}<{{ . }}>{{ end }}{{ template "t" $labels.job }}{{ template "t" }}
{{ block "b" .Labels }}{{ .job }}{{ end }}
{{ $t := 0 }}{{ range query "up" | sortByLabel "instance" }}{{ $t = .Value }}{{ end }}{{ $t }}
{{ $labels.instance | stripPort }} {{ stripDomain $labels.instance }} {{ reReplaceAll ":[0-9]+$" "" $labels.instance }}
{{ reReplaceAll "([a-z]+)" "<$1>" $labels.instance }} {{ reReplaceAll "x*" "-" "abxxc" }} {{ reReplaceAll "a(?P<q>.)" "${q}$$" "abac" }}
{{ title "a b_c d-e f1g été été" }} {{ toUpper "aé" }} {{ toLower "ABC" }}
{{ printf "%.2f %5.1f|%-8.3g|%+.1e|%08.3f|%6v|%v" $value $value $value $value $value $value $value }}
{{ printf "%d %s %t %q %x" 42 "s" true "q\"uo" 255 }} {{ printf "%5d|%-5d|%05d|%+d|% d" 42 42 42 42 42 }}
{{ printf "%10s|%-10s|%.2s|%q|%v" "abc" "abc" "abc" $labels.job $labels }}
{{ printf "%d %s %f %t" $value $value 3 "x" }}
{{ printf "%d" }} {{ printf "a" 1 "b" }} {{ printf "%z %" 1 }}
{{ printf "%*d|%.*f" 6 42 2 1.2345 }} {{ printf "%T %T %T %T" 1 1.5 "x" true }}
{{ print 1 2 "a" "b" 3 true nil }}|{{ println "x" 1 }}|{{ print "a" 1 2 }}
{{ html "<a href='x'>&\"" }} {{ js "it's <b> \"=\" &" }} {{ urlquery "a b/c?d=e&f" }} {{ "<x>" | html }}
{{ len "abc" }} {{ len $labels }} {{ len (query "up") }} {{ index $labels "job" }} {{ index (query "vector(7)") 0 | value }}
{{ slice "abcdef" 1 3 }} {{ slice "abc" 1 }} {{ index "abc" 1 }}
{{ index (query "up") 99 }}
{{ humanize "123456" }} {{ humanize 1024 }} {{ humanize1024 1048576 }} {{ humanizeDuration "90" }} {{ humanizePercentage 0.1234 }}
{{ humanizeTimestamp 1435065584.128 }} {{ humanizeTimestamp -1.5 }} {{ humanizeTimestamp 0 }} {{ (1435065584.5 | toTime) }}
{{ humanizeTimestamp 1e30 }}
{{ humanize "abc" }}
{{ parseDuration "1h30m" }} {{ parseDuration "1d" | humanizeDuration }}
{{ graphLink "sum(up) by (job) > 1" }} {{ tableLink "up{a=\"b\"}" }}
{{ $externalURL }} {{ $externalLabels.site }} {{ .ExternalLabels }} {{ $externalLabels }}
{{ safeHtml "<b>" }} {{ (args "a" 2).arg1 }} {{ with args 1 "b" }}{{ .arg0 }}{{ .arg1 }}{{ .arg2 }}{{ end }}
{{ strvalue (query "up" | first) }}.{{ (query "up" | sortByLabel "job" | first).Labels.job }}
{{ first (query "nothing") }}
{{ gt $value 90 }}
{{ eq 1 1.0 }}
{{ lt 1 2 }} {{ le 2 2 }} {{ gt 3 2 }} {{ ge 2 3 }} {{ ne "a" "b" }} {{ eq true false }} {{ lt "a" "b" }} {{ eq 1 2 1 }}
{{ and 1 0 }} {{ and 1 "x" }} {{ or 0 "" "z" }} {{ or "" 0 }} {{ not "" }} {{ and true (or false "q") }}
{{ toUpper $value }}
{{ $labels.job.x }}
{{ .Nothing }}
{{ .Value.x }}
{{ label "job" $value }}
{{ template "nobody" }}
{{ 0x10 }} {{ 010 }} {{ 1e3 }} {{ -.5 }} {{ 1_000 }} {{ 'a' }} {{ '\n' }} {{ 0b11 }} {{ 0o17 }} {{ true }} {{ 1.50 }} {{ 100000000000000000000.0 }}
{{- " a " }}  {{ "b" -}}   c {{- /* note */ -}}  d {{/* x */}} e
{{ "\x41\u00e9\t\101" }}{{ `raw\n` }}{{ "}}" }}
{{ ((($value))) }} {{ (printf "%s" "x") | printf "%s-%s" "y" }} {{ "a" | printf "%s%s" "b" | len }}
{{ $ | printf "%T" | len | lt 0 }} {{ $.Value }} {{ with $.Labels }}{{ .job }} {{ $.Value }}{{ end }}
{{ range $i, $e := query "up" }}{{ if eq $i 0 }}{{ continue }}{{ end }}{{ $i }}{{ end }}
{{ with $labels.none }}a{{ else }}{{ with $labels.job }}{{ . }}{{ end }}{{ end }}
{{ range query "topk(1, up)" }}{{ . | value }}{{ end }} {{ query "vector(3) + 4" | first | value }} {{ query "5" | first | value }}
{{ query "up[5m]" }}
{{ query "sum(" }}
{{ nil }}
{{ 1 2 }}
{{ $z = 1 }}
{{ . | len | }}
{{ $value | printf "%.0f%%" }} {{ $value | humanizePercentage }} {{ $value | humanizeDuration }} {{ $value | humanize1024 }}
'''.strip('\n').split('\n')


def alert_of(report):
    """The annotations of the one alert in a report: both write name="text as Go quotes it"."""
    came = re.split(r'(?:got|came):', report)[1].split('nnotations', 1)[1]
    return {k: ast.literal_eval(f'"{v}"') for k, v in re.findall(r'\b(t\d+)="((?:[^"\\]|\\.)*)"', came)}


@pytest.mark.parametrize('number', ['95.5', '-3', '0', '1.5e9'])
def test_templates_of_the_field_give_what_prometheus_gives(tmp_path, number):
    alert = {'alert': 'Field', 'expr': 'number', 'annotations': {f't{i}': t for i, t in enumerate(TEMPLATES)}}
    tests = (TESTS % f"      - {{series: 'number{{job=\"x\", instance=\"db.example:9100\"}}', values: '{number}x9'}}").replace(
        '    promql_expr_test:', '      - {eval_time: 1m, alertname: Field}\n    promql_expr_test:')
    _, path = write(tmp_path, json.dumps({'groups': [{'name': 'g', 'rules': [alert]}]}), tests)
    expected = alert_of(theirs('test', 'rules', path).stderr)
    came = alert_of(json.loads(ours('--json', 'metrics', 'test', path).stdout)[0]['report'])
    assert len(expected) == len(TEMPLATES)
    for i, text in enumerate(TEMPLATES):
        if expected[f't{i}'].startswith('<error expanding template: '):
            assert came[f't{i}'].startswith('<error expanding template: '), text
        else:
            assert came[f't{i}'] == expected[f't{i}'], text


@pytest.mark.parametrize('text', [
    '{{ if $value }}x', '{{ end }}', '{{ else }}', '{{ break }}', '{{ $nope }}', '{{ $value | 1 }}', '{{ "a }}', '{{ (1 }}',
    '{{ 1) }}', '{{ tmpl "a" . }}', '{{ range $i, $j, $k := $labels }}{{ end }}', '{{ define a }}{{ end }}', '{{ template $x }}',
    '{{ if true }}{{ $y := 1 }}{{ end }}{{ $y }}', '{{ /* }}', '{{ print "a""b" }}', '{{ "\\z" }}', '{{ 1a }}',
    '{{ if true }}{{ define "d" }}{{ end }}{{ end }}', '{{ if true }}a{{ else }}b{{ else }}c{{ end }}', '{{ | print }}', '{{ ] }}'])
def test_templates_that_prometheus_cannot_read_are_refused_with_their_line(tmp_path, text):
    path, _ = write(tmp_path, rules='groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    annotations:\n      a: b\n      c: '
                    + json.dumps(text) + '\n')
    assert theirs('check', 'rules', path).returncode != 0
    run = ours('metrics', 'check', 'rules', path)
    assert run.returncode == 1 and 'line 8' in run.stdout + run.stderr, run.stdout + run.stderr


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


def test_rules_that_are_there_twice_are_told_as_by_promtool(tmp_path):
    twice = """groups:
- name: a
  rules:
  - {record: x, expr: up}
  - {record: x, expr: up + 1}
  - {alert: A, expr: up, labels: {a: b}}
- name: b
  rules:
  - {alert: A, expr: up, labels: {a: b}}
  - {alert: A, expr: up, labels: {a: c}}
"""
    path, _ = write(tmp_path, rules=twice)
    (tmp_path / 'p.yml').write_text('rule_files: [rules.yml]\n')
    config = str(tmp_path / 'p.yml')
    for args in (('check', 'rules', path), ('check', 'rules', '--lint=none', path), ('check', 'rules', '--lint-fatal', path),
                 ('check', 'config', config), ('check', 'config', '--lint-fatal', config)):
        a, b = theirs(*args), ours('metrics', *args)
        assert b.returncode == a.returncode, (args, a.stderr, b.stdout, b.stderr)
        for what in ('2 duplicate rule(s) found', ):
            assert (what in b.stdout) == (what in a.stderr), (args, a.stderr, b.stdout)
    for lint, code in (('all', 3), ('none,all', 0), ('duplicate-rules,none', 0), ('duplicate-rules', 3)):
        assert ours('metrics', 'check', 'rules', f'--lint={lint}', '--lint-fatal', path).returncode == code, lint
    for what, words in (('rules', 'all, duplicate-rules, none'), ('config', 'all, duplicate-rules, too-long-scrape-interval, none')):
        for lint in ('duplicates', '', 'all,x') + (('too-long-scrape-interval', ) if what == 'rules' else ()):
            b = ours('metrics', 'check', what, f'--lint={lint}', path if what == 'rules' else config)
            assert b.returncode == 65 and f'there is no --lint={lint.split(",")[-1]}: {words}' in b.stderr, (lint, b.stderr)
    slow = tmp_path / 'slow.yml'  # a lint of later promtools
    slow.write_text('scrape_configs:\n- {job_name: a, scrape_interval: 5m}\n- job_name: b\n  scrape_interval: 6m\n')
    for lint, told in (('too-long-scrape-interval', True), ('all', True), ('duplicate-rules', False)):
        b = ours('metrics', 'check', 'config', f'--lint={lint}', '--lint-fatal', str(slow))
        assert (b.returncode, '1 too long scrape interval(s) found:\n  line 3: job "b" is asked every 6 min 0 s' in b.stdout) == (3 * told, told), b.stdout
    b = ours('metrics', 'check', 'config', '--lint=all', '--json', str(slow))
    assert b.returncode == 0 and [one['line'] for one in json.loads(b.stdout)[0]['intervals']] == [3]
    (tmp_path / 'rules.yml').write_text(twice.replace('up + 1', 'up +'))
    assert theirs('check', 'config', config).returncode == ours('metrics', 'check', 'config', config).returncode == 1
