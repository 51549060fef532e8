"""Metrics for users: Prometheus' HTTP API, each for his own projects, against promtool and what Grafana calls."""
import datetime
import gzip
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest
import requests

from conftest import free_port, wait_for

API = '/prometheus/api/v1'
NOW = int(time.time())


def program(name):
    """Of Debian's packages, or unpacked from them."""
    found = shutil.which(name) or os.path.join('/tmp/prom/x/usr/bin', name)
    if not os.path.exists(found):
        pytest.skip(f'{name} is not installed')
    return found


# --- remote write 1.0, by hand ---

def varint(n):
    out = b''
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def write_request(series):
    """[({label: value}, [(seconds, value)])]"""
    out = b''
    for labels, samples in series:
        one = b''.join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(labels.items()))
        for at, v in samples:
            one += field(2, b'\x09' + struct.pack('<d', v) + b'\x10' + varint(int(at * 1000)))
        out += field(1, one)
    return out


def snappy(data):
    """The block format, as literals alone."""
    out = varint(len(data))
    for i in range(0, len(data), 65536):
        part = data[i:i + 65536]
        out += b'\xf4' + struct.pack('<H', len(part) - 1) + part
    return out


def push(strata, series, user='admin', project=None):
    return strata.api('POST', API + (f'/projects/{project}/write' if project else '/write'), user=user, data=snappy(write_request(series)),
                      headers={'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy', 'X-Prometheus-Remote-Write-Version': '0.1.0'})


def write(strata, series, user='admin'):
    r = push(strata, series, user)
    assert r.status_code == 204, r.text
    return r


def ask(strata, path, user='admin', method='GET', **params):
    r = strata.api(method, API + path, user=user, **({'params': params} if method == 'GET' else {'data': params}))
    assert r.status_code == 200, r.text
    answer = r.json()
    assert answer['status'] == 'success'
    return answer


def names(answer):
    return {tuple(sorted(s['metric'].items())) for s in answer['data']['result']}


@pytest.fixture(scope='module')
def served(strata):
    """Series of two projects and of none, five minutes each 15 s."""
    strata.user('mx-dev', 'mx-one', 'developer')
    strata.user('mx-guest', 'mx-two', 'guest')
    strata.user('mx-both', 'mx-one', 'guest')
    assert strata.api('PUT', '/api/v1/projects/mx-two/members/mx-both', json={'role': 'guest'}).status_code < 300
    strata.user('mx-nobody')
    steps = [NOW - 300 + 15 * i for i in range(21)]
    series = []
    for project in ('', 'mx-one', 'mx-two', 'mx-three'):
        for i in (1, 2):
            labels = {'__name__': 'mx_requests_total', 'instance': f'n{i}:80', 'job': 'mx'}
            series.append(({**labels, **({'project': project} if project else {})}, [(t, float((t - NOW + 300) * i)) for t in steps]))
    series.append(({'__name__': 'mx.dotted', 'my label': 'a b', 'project': 'mx-one', 'job': 'mx'}, [(NOW, 1.5)]))
    write(strata, series)
    return strata


def test_a_new_server_has_numbers_of_itself(strata):
    up = wait_for(lambda: ask(strata, '/query', query='up{job="strata"}')['data']['result'], 60, 'up')
    assert up[0]['value'][1] == '1'
    assert ask(strata, '/query', query='strata_tsdb_series >= 0')['data']['result']
    target = ask(strata, '/targets')['data']['activeTargets'][0]
    assert target['health'] == 'up' and target['labels']['job'] == 'strata' and target['lastError'] == ''


def test_its_machine_has_figures_with_their_types(strata):
    """Also of those that do not end in _total: who builds a query is told to take the rate of them."""
    kinds = {'container_memory_failcnt': 'counter', 'container_memory_rss': 'gauge', 'node_load1': 'gauge', 'node_cpu_seconds_total': 'counter'}
    for name, kind in kinds.items():
        wait_for(lambda: ask(strata, '/metadata', metric=name)['data'].get(name), 60, name)
        assert [one['type'] for one in ask(strata, '/metadata', metric=name)['data'][name]] == [kind]


def test_what_grafana_calls(served):
    # its health check asks at the fourth second of 1970
    assert ask(served, '/query', method='POST', query='1+1', time=4) == {'status': 'success', 'data': {'resultType': 'scalar', 'result': [4, '2']}}
    r = ask(served, '/query_range', method='POST', query='rate(mx_requests_total{project="mx-one"}[1m])', start=NOW - 120, end=NOW, step='15')
    assert r['data']['resultType'] == 'matrix' and len(r['data']['result']) == 2
    assert [round(float(v), 9) for _, v in r['data']['result'][0]['values']] == [1] * 9
    assert 'mx_requests_total' in ask(served, '/label/__name__/values', **{'match[]': '{job="mx"}', 'limit': 40000})['data']
    assert ask(served, '/label/U__my_20_label/values')['data'] == ['a b']
    assert ask(served, '/labels', **{'match[]': 'mx_requests_total', 'start': NOW - 300, 'end': NOW})['data'] == ['__name__', 'instance', 'job', 'project']
    assert len(ask(served, '/series', **{'match[]': ['mx_requests_total{instance="n1:80"}', '{__name__=~"mx_.*",project="mx-one"}']})['data']) == 5
    r = ask(served, '/series', **{'match[]': 'mx_requests_total', 'limit': 2})
    assert len(r['data']) == 2 and r['warnings'] == ['results truncated due to limit']
    assert ask(served, '/status/buildinfo')['data']['version'].split('.')[0] == '3'
    assert ask(served, '/query_exemplars', query='mx_requests_total', start=NOW - 300, end=NOW)['data'] == []
    assert ask(served, '/metadata', metric='strata_tsdb_series')['data'] == {'strata_tsdb_series': [{'type': 'gauge', 'help': 'Series that are written.', 'unit': ''}]}
    assert ask(served, '/rules')['data']['groups'] == [] and ask(served, '/alerts')['data']['alerts'] == []
    assert ask(served, '/format_query', query='sum(up)by(a)')['data'] == 'sum by (a) (up)'
    tree = ask(served, '/parse_query', query='sum by (a) (rate(up{b="c"}[5m])) / 2')['data']
    assert (tree['type'], tree['op'], tree['lhs']['type'], tree['lhs']['grouping']) == ('binaryExpr', '/', 'aggregation', ['a'])
    assert tree['lhs']['expr']['args'][0]['range'] == 300000 and tree['rhs'] == {'type': 'numberLiteral', 'val': '2'}


GRAFANA = {'User-Agent': 'Grafana/11.3.0', 'Accept-Encoding': 'gzip', 'X-Dashboard-Uid': 'rYdddlPWk', 'X-Panel-Id': '77', 'X-Datasource-Uid': 'prom',
           'X-Grafana-Org-Id': '1', 'X-Query-Group-Id': 'q'}
MX = 'mx_requests_total{project="mx-one"}'
FROM_TO = {'start': f'{NOW - 120}.000', 'end': f'{NOW}.000'}


@pytest.mark.parametrize('path, form', (
    ('/query_range', {**FROM_TO, 'query': MX, 'step': '15.000', 'timeout': '60s'}), ('/query_range', {**FROM_TO, 'query': MX, 'step': '15s', 'stats': 'all'}),
    ('/query', {'query': MX, 'time': f'{NOW}.000'}), ('/query', {'query': MX, 'time': '2026-01-02T03:04:05.000Z', '_': '17'}),
    ('/labels', {**FROM_TO, 'match[]': MX, 'limit': '40000'}), ('/series', {**FROM_TO, 'match[]': [MX, 'up'], 'limit': '40000'}),
    ('/query_exemplars', {**FROM_TO, 'query': MX}), ('/parse_query', {'query': MX}), ('/format_query', {'query': MX})))
def test_grafana_posts_forms_and_falls_back_to_get(served, path, form):
    """Its data source asks by POST with a form, and by GET where it was told to; both say the same, headers and all."""
    posted = served.api('POST', API + path, data=form, headers=GRAFANA)
    got = served.api('GET', API + path, params=form, headers=GRAFANA)
    assert posted.status_code == got.status_code == 200, posted.text
    took = re.compile(r'"timings":{[^}]*}')
    assert took.sub('', posted.text) == took.sub('', got.text)
    for r in (posted, got):
        assert r.headers['Content-Type'] == 'application/json' and r.headers['Vary'] == 'Accept-Encoding'
    if path.startswith('/query') and 'exemplars' not in path:  # it reads as it comes, and needs to know what comes
        assert posted.text.index('"resultType"') < posted.text.index('"result":')


def test_grafana_signs_in_with_a_token_in_either_way(served):
    token = served.token('mx-dev')
    for auth in ({'auth': ('mx-dev', token)}, {'headers': {'Authorization': f'Bearer {token}'}}):
        r = requests.post(served.url + API + '/query', data={'query': '1+1', 'time': '4'}, timeout=30, **auth)
        assert (r.status_code, r.json()['data']) == (200, {'resultType': 'scalar', 'result': [4, '2']})
    r = requests.post(served.url + API + '/query', data={'query': '1+1'}, timeout=30)
    assert (r.status_code, r.json()['status'], r.json()['errorType']) == (401, 'error', 'unauthorized')


def test_grafana_fills_in_variables(served):
    """label_values(), query_result(), metrics(), label_names(), and what its query builder reads."""
    values = {'match[]': '{__name__=~"mx_.*",project=~"mx-(one|two)"}', 'start': NOW - 300, 'end': NOW, 'limit': 40000}
    assert ask(served, '/label/project/values', **values)['data'] == ['mx-one', 'mx-two']
    assert ask(served, '/label/instance/values', **{**values, 'limit': 1}) == {'status': 'success', 'data': ['n1:80'], 'warnings': ['results truncated due to limit']}
    assert ask(served, '/label/nosuch/values')['data'] == []
    assert len(ask(served, '/query', method='POST', query='count by (project) (mx_requests_total)', time=NOW)['data']['result']) == 4
    assert len(ask(served, '/metadata', limit=2)['data']) == 2
    assert all(len(kinds) == 1 for kinds in ask(served, '/metadata', limit_per_metric=1)['data'].values())
    assert ask(served, '/metadata', metric='nosuch')['data'] == {}
    for asks in ({'type': 'alert'}, {'type': 'record', 'rule_name[]': 'x', 'rule_group[]': ['y', 'z'], 'file[]': 'f'}, {'exclude_alerts': 'true', 'group_limit': 5}):
        assert ask(served, '/rules', **asks)['data'] == {'groups': []}
    r = served.api('GET', API + '/rules?type=nonsense')
    assert (r.status_code, r.json()['errorType']) == (400, 'bad_data')
    # which of the kinds of server it is: neither of the others
    assert 'features' not in ask(served, '/status/buildinfo')['data']
    r = served.api('GET', API + '/features')
    assert (r.status_code, r.json()['status'], r.json()['errorType']) == (404, 'error', 'not_found')
    r = served.api('DELETE', API + '/query')
    assert r.status_code == 405 and {'GET', 'POST'} <= set(r.headers['Allow'].replace(' ', '').split(','))


def test_numbers_are_written_as_prometheus_writes_them(served):
    def one(query):
        return ask(served, '/query', query=query, time='4.5')['data']['result']
    assert one('vector(1e22)')[0]['value'] == [4.5, '1e+22'] and one('1e22') == [4.5, '10000000000000000000000']
    assert one('vector(1e-7)')[0]['value'][1] == '1e-07' and one('vector(NaN)')[0]['value'][1] == 'NaN'
    assert one('-1/0') == [4.5, '-Inf'] and one('"x"') == [4.5, 'x']
    at = served.api('GET', API + '/query?query=time()&time=2026-01-02T03:04:05.250%2B08:00').json()
    assert at['data']['result'] == [1767294245.25, '1767294245.25']


ERRORS = [
    ('/query', {}, 400, 'bad_data', 'invalid parameter "query"'),
    ('/query', {'query': 'sum('}, 400, 'bad_data', 'invalid parameter "query": 1:5: parse error'),
    ('/query', {'query': 'up', 'time': 'x'}, 400, 'bad_data', 'invalid parameter "time": cannot parse "x" to a valid timestamp'),
    ('/query', {'query': 'up', 'timeout': 'x'}, 400, 'bad_data', 'invalid parameter "timeout": cannot parse "x" to a valid duration'),
    ('/query_range', {'query': 'up', 'start': 1, 'end': 2, 'step': 0}, 400, 'bad_data', 'zero or negative query resolution step widths are not accepted'),
    ('/query_range', {'query': 'up', 'start': 1, 'step': 1}, 400, 'bad_data', 'invalid parameter "end": cannot parse "" to a valid timestamp'),
    ('/query_range', {'query': 'up', 'start': 9, 'end': 2, 'step': 1}, 400, 'bad_data', 'end timestamp must not be before start time'),
    ('/query_range', {'query': 'up', 'start': 1, 'end': 20000, 'step': 1}, 400, 'bad_data', 'exceeded maximum resolution of 11,000 points'),
    ('/query_range', {'query': 'up[1m]', 'start': 1, 'end': 2, 'step': 1}, 400, 'bad_data', 'must be Scalar or instant Vector'),
    ('/query', {'query': 'mx_requests_total + on () group_left () mx_requests_total', 'time': NOW}, 422, 'execution', 'many-to-many'),
    ('/series', {}, 400, 'bad_data', 'no match[] parameter provided'),
    ('/series', {'match[]': '{}'}, 400, 'bad_data', 'match[]'),
    ('/series', {'match[]': '{a=~".*"}'}, 400, 'bad_data', 'match[]'),
    ('/series', {'match[]': 'sum(up)'}, 400, 'bad_data', 'match[]'),
    ('/labels', {'limit': -1}, 400, 'bad_data', 'invalid parameter "limit"'),
]


@pytest.mark.parametrize('path, params, status, kind, text', ERRORS)
def test_errors_say_what_is_wrong(served, path, params, status, kind, text):
    for method in ('GET', 'POST'):
        r = served.api(method, API + path, **({'params': params} if method == 'GET' else {'data': params}))
        assert (r.status_code, r.json()['status'], r.json()['errorType']) == (status, 'error', kind), r.text
        assert text in r.json()['error']


def test_promtool_reads_from_us_what_we_have(served):
    def promtool(*args):
        url = served.url.replace('http://', f'http://admin:{served.admin_password}@') + '/prometheus'
        r = subprocess.run([program('promtool'), 'query', args[0], *args[2:], url, *args[1]], capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stderr
        return r.stdout
    assert promtool('instant', ['mx_requests_total{project="mx-one",instance="n1:80"}'], f'--time={NOW}') == \
        f'mx_requests_total{{instance="n1:80", job="mx", project="mx-one"}} => 300 @[{NOW}]\n'
    out = promtool('range', ['sum(mx_requests_total)'], f'--start={NOW - 30}', f'--end={NOW}', '--step=15s')
    assert out == f'{{}} =>\n3240 @[{NOW - 30}]\n3420 @[{NOW - 15}]\n3600 @[{NOW}]\n'
    assert promtool('series', [], '--match=mx_requests_total{project="mx-two"}').count('\n') == 2
    assert promtool('labels', ['instance'], '--match=mx_requests_total') == 'n1:80\nn2:80\n'


def test_federation_is_read_by_old_and_new_readers(own_strata, tmp_path):
    config = pathlib.Path(f'/tmp/strata-federate-{free_port()}.yml')  # where the user strata may read
    config.write_text('global: {external_labels: {site: one, job: other}}\n')
    try:
        s = own_strata(args=('--set', f'metrics.scrape_config={config}')).start()
    finally:
        config.unlink()
    now = int(time.time())
    write(s, [({'__name__': 'fd_plain', 'job': 'a', 'l': 'x"\\\n\u2603'}, [(now, 1.0)]), ({'__name__': 'fd.dötted', 'my label': 'v', 'instance': 'i'}, [(now, 2.0)])])

    def federate(accept):
        r = s.api('GET', '/prometheus/federate', params={'match[]': '{__name__=~"fd.*"}'}, headers={'Accept': accept})
        return r.headers['Content-Type'], r.text
    old, text = federate('text/plain;version=0.0.4;q=1,*/*;q=0.1')
    assert old == 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores'
    # without an instance an empty one, so that honor_labels gives none; outer labels where there are none
    assert text == (f'# TYPE fd_d_tted untyped\nfd_d_tted{{instance="i",my_label="v",job="other",site="one"}} 2 {now}000\n'
                    f'# TYPE fd_plain untyped\nfd_plain{{job="a",l="x\\"\\\\\\n\u2603",site="one",instance=""}} 1 {now}000\n')
    assert federate('*/*')[1] == text
    checked = subprocess.run([program('promtool'), 'check', 'metrics'], input=text, capture_output=True, text=True)
    assert 'error while linting' not in checked.stderr and checked.returncode != 1, checked.stderr
    new, text = federate('application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0; escaping=allow-utf-8;q=0.3')
    assert new == 'text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8'
    assert f'\n{{"fd.dötted",instance="i","my label"="v",job="other",site="one"}} 2 {now}000\n' in '\n' + text


# --- who sees what ---

SEEN = {'admin': {'', 'mx-one', 'mx-two', 'mx-three'}, 'mx-dev': {'mx-one'}, 'mx-guest': {'mx-two'}, 'mx-both': {'mx-one', 'mx-two'}, 'mx-nobody': set()}
# Queries that try to reach what is not for everybody; whatever they give has a label project that is his.
TRIES = [
    'mx_requests_total', '{__name__=~".+"}', '{job="mx"} or mx_requests_total', 'mx_requests_total{project="mx-three"}', 'mx_requests_total{project=~".*"}',
    'mx_requests_total{project!=""}', 'mx_requests_total{project=""}', 'max_over_time(mx_requests_total[2m])', 'max_over_time(mx_requests_total[2m:15s])',
    'mx_requests_total @ end()', 'mx_requests_total offset 15s', 'topk(9, mx_requests_total)', 'mx_requests_total unless mx_requests_total{project="x"}',
    '({project="mx-three"})', '-mx_requests_total', 'sum by (project, instance) (mx_requests_total)', 'last_over_time({project=~"mx-.*"}[5m])',
]
SUMS = ['sum(mx_requests_total)', 'scalar(sum(mx_requests_total))', 'sum(label_replace(mx_requests_total, "other", "$1", "project", "(.*)"))',
        'sum(sum_over_time(mx_requests_total[1s:1s]))', 'count_values("v", mx_requests_total)', 'quantile(1, mx_requests_total{project=~"|mx-three"})']


@pytest.mark.parametrize('user', SEEN)
def test_everybody_sees_the_series_of_his_projects(served, user):
    for query in TRIES:
        for path, params in (('/query', {'time': NOW}), ('/query_range', {'start': NOW - 30, 'end': NOW, 'step': 15})):
            answer = ask(served, path, user=user, query=query, **params)
            projects = {s['metric'].get('project', '') for s in answer['data']['result'] if s['metric'].get('job', 'mx') == 'mx'}
            assert projects <= SEEN[user], (query, projects)
    assert {s['metric'].get('project', '') for s in ask(served, '/query', user=user, query='mx_requests_total', time=NOW)['data']['result']} == SEEN[user]


@pytest.mark.parametrize('user', SEEN)
def test_no_arithmetic_leads_around_it(served, user):
    want = 900.0 * len(SEEN[user])
    sums = [ask(served, '/query', user=user, query=q, time=NOW)['data']['result'] for q in SUMS]
    value = float(sums[0][0]['value'][1]) if sums[0] else 0
    assert value == want
    assert float(sums[1][1]) == want if want else sums[1][1] == 'NaN'
    if user not in ('admin',):
        assert sums[5] == [], 'mx-three and what has no project are for nobody else'
    absent = ask(served, '/query', user=user, query='absent(mx_requests_total{project="mx-three"})', time=NOW)['data']['result']
    assert len(absent) == (0 if 'mx-three' in SEEN[user] else 1)


@pytest.mark.parametrize('user', SEEN)
def test_every_other_route_is_filtered_too(served, user):
    match = {'match[]': ['mx_requests_total', '{project=~".+",job="mx"}', '{project="mx-three"}']}
    assert {s.get('project', '') for s in ask(served, '/series', user=user, **match)['data']} == SEEN[user]
    assert set(ask(served, '/label/project/values', user=user, **{'match[]': '{job="mx"}'})['data']) == SEEN[user] - {''}
    assert set(ask(served, '/label/project/values', user=user)['data']) - SEEN['admin'] == set() or user == 'admin'
    if user != 'admin':
        assert set(ask(served, '/label/project/values', user=user)['data']) == SEEN[user]
        assert ('project' in ask(served, '/labels', user=user)['data']) == bool(SEEN[user])
        assert ask(served, '/targets', user=user)['data']['activeTargets'] == []
        assert ask(served, '/metadata', user=user)['data'] == {} and ask(served, '/targets/metadata', user=user)['data'] == []
        assert ask(served, '/scrape_pools', user=user)['data']['scrapePools'] == []
        for path in ('/status/config', '/status/flags', '/status/tsdb'):
            assert served.api('GET', API + path, user=user).status_code == 403
        assert served.api('POST', API + '/write', user=user, data=b'').status_code == 403
        assert served.api('POST', '/prometheus/-/reload', user=user).status_code == 403
    now = max(int(time.time()), NOW + 1)  # federation has what is at most five minutes old
    write(served, [(labels, [(now, 1.0)]) for labels in ask(served, '/series', **{'match[]': 'mx_requests_total'})['data']])
    text = served.api('GET', '/prometheus/federate', user=user, params=match).text
    lines = [line for line in text.splitlines() if line.startswith('mx_requests_total{')]
    assert len(lines) == 2 * len(SEEN[user])
    for p in SEEN['admin'] - SEEN[user] - {''}:
        assert f'project="{p}"' not in text


def test_robots_and_narrow_tokens_see_what_they_were_given(served):
    query = {'query': 'mx_requests_total', 'time': NOW}
    with_it = served.robot('mx-one', 'mx-sees', ['metric:read'])
    without = served.robot('mx-one', 'mx-blind', ['job:read'])
    assert len(ask(served, '/query', user=with_it, **query)['data']['result']) == 2
    assert ask(served, '/query', user=without, **query)['data']['result'] == []
    for user, seen in (('admin', 8), ('mx-dev', 2)):
        for scopes, n in ((['metric:read'], seen), (['job:read'], 0)):
            made = served.api('POST', '/api/v1/tokens', user=user, json={'name': 'mx-narrow', 'scopes': scopes}).json()
            r = served.api('GET', API + '/query', token=made['token'], params=query)
            assert len(r.json()['data']['result']) == n, (user, scopes)
    assert served.api('GET', API + '/query', user=None, params=query).status_code == 401


def test_who_leaves_a_project_sees_it_no_more(served):
    served.user('mx-leaver', 'mx-one', 'guest')
    assert len(ask(served, '/query', user='mx-leaver', query='mx_requests_total', time=NOW)['data']['result']) == 2
    assert served.api('DELETE', '/api/v1/projects/mx-one/members/mx-leaver').status_code == 204
    assert ask(served, '/query', user='mx-leaver', query='mx_requests_total', time=NOW)['data']['result'] == []


# --- limits, slow clients ---

@pytest.fixture(scope='module')
def heavy(tmp_path_factory):
    from conftest import Strata
    s = Strata(tmp_path_factory.mktemp('metrics') / 'state', args=('--set', 'metrics.max_samples=3000000', '--set', 'metrics.max_queries=2')).start()
    write(s, [({'__name__': 'mx_many', 'i': str(i)}, [(NOW - 15, float(i)), (NOW, 1.0)]) for i in range(200)])
    yield s
    s.stop()
    s.check_log()


BIG = {'query': 'mx_many', 'start': NOW - 200, 'end': NOW + 9800, 'step': 1}
LONG = {'query': 'quantile_over_time(0.5, vector(1)[1d:1s])', 'start': NOW - 10000, 'end': NOW, 'step': 1}


def test_answers_are_packed_for_who_wants_it(heavy):
    plain = heavy.api('GET', API + '/query_range', params=BIG, headers={'Accept-Encoding': 'identity'})
    assert 'Content-Encoding' not in plain.headers
    packed = heavy.api('GET', API + '/query_range', params=BIG, headers={'Accept-Encoding': 'gzip'}, stream=True)
    raw = packed.raw.read(decode_content=False)
    assert packed.headers['Content-Encoding'] == 'gzip' and len(raw) < len(plain.content) / 4
    assert gzip.decompress(raw) == plain.content and len(json.loads(plain.content)['data']['result']) == 200


def test_too_large_a_query_is_refused_with_the_number(heavy):
    r = heavy.api('GET', API + '/query_range', params={**BIG, 'query': ' or '.join(f'label_replace(mx_many, "x", "{i}", "", "")' for i in range(60))})
    assert r.status_code == 422 and r.json()['errorType'] == 'execution'
    assert 'too many samples' in r.json()['error'] and '3000000' in r.json()['error']


def test_a_query_ends_at_its_timeout(heavy):
    r = heavy.api('GET', API + '/query_range', params={**LONG, 'timeout': '300ms'})
    assert (r.status_code, r.json()['errorType']) == (503, 'timeout'), r.text
    assert 'timed out' in r.json()['error']


def running(s, name='strata_metrics_queries'):
    text = s.api('GET', '/metrics').text
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith(name + ' ')))


def raw_get(s, params, path=API + '/query_range'):
    sock = socket.create_connection(('127.0.0.1', s.port))
    target = requests.Request('GET', 'http://x' + path, params=params).prepare().path_url
    sock.sendall(f'GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {s.token()}\r\n\r\n'.encode())
    return sock


def test_a_query_ends_when_its_client_hangs_up(heavy):
    sock = raw_get(heavy, LONG)
    wait_for(lambda: running(heavy) == 1, 30, 'the query runs')
    sock.close()
    wait_for(lambda: running(heavy) == 0, 30, 'the query ends')


def test_queries_wait_for_their_turn(heavy):
    socks = [raw_get(heavy, LONG) for _ in range(2)]
    wait_for(lambda: running(heavy) == 2, 30, 'both run')
    waits = raw_get(heavy, LONG)
    wait_for(lambda: running(heavy, 'strata_metrics_queries_waiting') == 1, 30, 'a third one waits')
    waits.close()
    wait_for(lambda: running(heavy, 'strata_metrics_queries_waiting') == 0, 30, 'it does not wait for nobody')
    assert running(heavy) == 2
    r = heavy.api('GET', API + '/query', params={'query': '1', 'timeout': '200ms'})
    assert r.status_code == 503 and 'metrics.max_queries' in r.json()['error']
    assert heavy.api('GET', '/healthz').status_code == 200
    for s in socks:
        s.close()
    assert ask(heavy, '/query', query='1', timeout='60s')['data']['result'][1] == '1'


def test_a_hundred_slow_clients_do_not_block_the_others(heavy):
    socks = [raw_get(heavy, {**BIG, 'end': NOW + 800}) for _ in range(100)]
    wait_for(lambda: sum(1 for s in socks if s.recv(1, socket.MSG_PEEK)) == 100, 120, 'all have begun')
    for _ in range(20):
        assert ask(heavy, '/query', query='count(mx_many)', time=NOW)['data']['result'][0]['value'][1] == '200'
    for s in socks:
        s.close()


# --- targets of others, restarts ---

@pytest.mark.skipif(not any(os.path.exists(p) for p in ('/usr/bin/prometheus-node-exporter', '/tmp/prom/x/usr/bin/prometheus-node-exporter')), reason='no node_exporter')
def test_node_exporter_is_scraped_by_prometheus_own_configuration(own_strata, tmp_path):
    port = free_port()
    exporter = subprocess.Popen([program('prometheus-node-exporter'), f'--web.listen-address=127.0.0.1:{port}'], stderr=subprocess.DEVNULL)
    config = pathlib.Path('/tmp') / f'strata-scrape-{port}.yml'  # where the user strata may read
    config.write_text(f'global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: node\n  static_configs: [{{targets: ["127.0.0.1:{port}"]}}]\n'
                      '- job_name: gone\n  static_configs: [{targets: ["127.0.0.1:1"]}]\n')
    config.chmod(0o644)
    try:
        s = own_strata(args=('--set', f'metrics.scrape_config={config}')).start()
        wait_for(lambda: ask(s, '/query', query='node_uname_info')['data']['result'], 60, 'node_uname_info')
        wait_for(lambda: ask(s, '/query', query='rate(node_cpu_seconds_total[10s]) >= 0')['data']['result'], 60, 'a rate')
        assert ask(s, '/query', query='count({job="node"}) > 300')['data']['result']
        down = wait_for(lambda: [t for t in ask(s, '/targets')['data']['activeTargets'] if t['health'] == 'down'], 60, 'a target is down')
        assert down[0]['scrapePool'] == 'gone' and down[0]['lastError']
        assert ask(s, '/query', query='up{job="gone"}')['data']['result'][0]['value'][1] == '0'
        assert ask(s, '/metadata', metric='node_load1')['data']['node_load1'][0]['type'] == 'gauge'
        assert 'job_name: node' in ask(s, '/status/config')['data']['yaml'].replace('"', '').replace("'", '')
        shown = s.cli('metrics', 'targets', check=True).stdout
        assert 'gone' in shown and 'down' in shown and 'up' in shown
        config.write_text('scrape_configs:\n- job_name: node\n  nonsense: 1\n')
        r = s.api('POST', '/prometheus/-/reload')
        assert r.status_code >= 400 and 'nonsense' in r.text
        assert s.api('POST', '/prometheus/-/reload', user=s.user('nosy')).status_code == 403
    finally:
        exporter.kill()
        exporter.wait()
        config.unlink()


def test_the_exporter_ends_with_its_supervisor(own_strata):
    s = own_strata().start()

    def exporters():
        found = []
        for stat in pathlib.Path('/proc').glob('[0-9]*/stat'):
            try:
                name, rest = stat.read_text().split('(', 1)[1].rsplit(')', 1)
            except OSError:
                continue
            if name == 'strata-exporter' and int(rest.split()[1]) == s.process.pid:
                found.append(stat.parent)
        return found
    [exporter] = wait_for(exporters, 20, 'the exporter runs')
    # by then it is another user
    wait_for((s.state / 'metrics/exporter.json').exists, 20, 'it tells where it is')
    s.kill()
    wait_for(lambda: not exporter.exists(), 20, 'it is gone')


@pytest.mark.parametrize('how', ('stop', 'kill'))
def test_samples_outlive_the_server(own_strata, how):
    s = own_strata().start()
    write(s, [({'__name__': 'mx_kept', 'i': str(i)}, [(NOW, float(i))]) for i in range(100)])
    getattr(s, how)()
    s.start()
    assert ask(s, '/query', query='sum(mx_kept)', time=NOW)['data']['result'][0]['value'][1] == '4950'


def test_what_remote_write_does_not_understand_is_refused(served):
    for body, headers in ((b'x', {'Content-Encoding': 'snappy'}), (snappy(b'\x0a\xff'), {'Content-Encoding': 'snappy'}), (b'x', {'Content-Encoding': 'gzip'})):
        r = served.api('POST', API + '/write', data=body, headers={'Content-Type': 'application/x-protobuf', **headers})
        assert 400 <= r.status_code < 500 and r.text


def test_a_project_pushes_series_of_its_own(served):
    robot = served.robot('mx-one', 'mx-pushes', ['metric:write'])
    loss = lambda name, **labels: [({'__name__': name, 'run': '7', **labels}, [(NOW - 15, 0.5), (NOW, 0.25)])]
    assert push(served, loss('mx_loss'), robot, 'mx-one').status_code == 204
    assert push(served, loss('mx_loss', project='mx-two', host='a'), 'mx-dev', 'mx-one').status_code == 204
    seen = ask(served, '/query', user='mx-both', query='mx_loss', time=NOW)['data']['result']
    assert [(s['metric']['project'], s['value'][1]) for s in seen] == [('mx-one', '0.25')] * 2
    assert ask(served, '/query', user='mx-guest', query='mx_loss', time=NOW)['data']['result'] == []
    assert ask(served, '/query', user=robot, query='mx_loss', time=NOW)['data']['result'] == [], 'it may write, not read'
    for user, project, status in (('mx-guest', 'mx-two', 403), ('mx-both', 'mx-one', 403), ('mx-dev', 'mx-two', 403), (robot, 'mx-two', 403),
                                  ('mx-nobody', 'mx-one', 403), (None, 'mx-one', 401), ('admin', 'mx-not-there', 404)):
        assert push(served, loss('mx_not'), user, project).status_code in {status, 404 if status == 403 else status}, (user, project)
    assert push(served, loss('mx_not'), robot).status_code == 403
    assert push(served, [({'__name__': 'mx_not'}, [(time.time() + 3600, 1.0)])], robot, 'mx-one').status_code == 400
    assert ask(served, '/query', query='count_over_time(mx_not[1d] @ 9e9) or last_over_time(mx_not[1d])')['data']['result'] == []


def test_samples_are_deleted_and_copied(served):
    write(served, [({'__name__': 'mx_gone', 'i': str(i)}, [(NOW - 15, 1.0), (NOW, 1.0)]) for i in range(3)])
    r = served.api('POST', API + '/admin/tsdb/delete_series', params={'match[]': 'mx_gone{i="0"}'})
    assert r.status_code == 204 and len(ask(served, '/query', query='mx_gone', time=NOW)['data']['result']) == 2
    assert served.api('POST', API + '/admin/tsdb/delete_series').status_code == 400
    assert served.api('PUT', API + '/admin/tsdb/clean_tombstones').status_code == 204
    name = served.api('POST', API + '/admin/tsdb/snapshot').json()['data']['name']
    assert any((served.state / 'metrics/snapshots' / name).iterdir())
    for path in ('delete_series', 'snapshot', 'import', 'clean_tombstones'):
        assert served.api('POST', f'{API}/admin/tsdb/{path}', user='mx-dev').status_code == 403


def test_a_project_takes_its_series_along(served):
    served.project('mx-short')
    write(served, [({'__name__': 'mx_short', 'project': 'mx-short'}, [(NOW, 1.0)])])
    assert ask(served, '/query', query='mx_short', time=NOW)['data']['result']
    assert served.api('DELETE', '/api/v1/projects/mx-short').status_code == 204
    served.user('mx-heir', 'mx-short', 'guest')
    assert ask(served, '/query', user='mx-heir', query='mx_short', time=NOW)['data']['result'] == []
    assert ask(served, '/query', query='mx_short', time=NOW)['data']['result'] == []


RULES = f"""groups:
- name: g
  interval: 1s
  rules:
  - {{record: mx:up:count, expr: count(up)}}
  - {{alert: Always, expr: vector(1), labels: {{project: mx-seen, long: {'x' * 100}}}, annotations: {{about: "it is {{{{ $value }}}}"}}}}
  - {{alert: Hidden, expr: vector(1)}}
"""
WAITS = "  - {alert: Waits, expr: vector(1), for: 1h, annotations: {about: '{{ range query \"mx:up:count\" }}{{ .Value }} up{{ end }}'}}\n"


def ages(strata):
    """How many seconds ago the alerts began."""
    return [time.time() - datetime.datetime.fromisoformat(a['activeAt'][:19] + '+00:00').timestamp() for a in ask(strata, '/alerts')['data']['alerts']]


def test_rules_write_series_and_alerts_for_who_may_see_them(own_strata):
    base = pathlib.Path(f'/tmp/strata-rules-{free_port()}')
    base.mkdir(mode=0o755)
    (base / 'rules.yml').write_text(RULES)
    (base / 'p.yml').write_text(f'rule_files: [{base}/rules.yml]\n')
    [p.chmod(0o644) for p in base.iterdir()]
    try:
        s = own_strata(args=('--set', f'metrics.scrape_config={base}/p.yml')).start()
        assert wait_for(lambda: ask(s, '/query', query='mx:up:count')['data']['result'], 60, 'the recorded series')
        wait_for(lambda: len(ask(s, '/alerts')['data']['alerts']) == 2, 60, 'both alerts fire')
        group = ask(s, '/rules')['data']['groups'][0]
        assert [(r['type'], r['name'], r['health']) for r in group['rules']] == [('recording', 'mx:up:count', 'ok'), ('alerting', 'Always', 'ok'), ('alerting', 'Hidden', 'ok')]
        assert group['rules'][1]['alerts'][0]['annotations'] == {'about': 'it is 1'} and group['rules'][1]['state'] == 'firing'
        rules = lambda **asked: [r['name'] for g in ask(s, '/rules', **asked)['data']['groups'] for r in g['rules']]
        assert rules(**{'rule_name[]': ['Always', 'mx:up:count']}) == ['mx:up:count', 'Always'] and rules(**{'rule_group[]': 'h'}) == []
        assert len(rules(**{'file[]': f'{base}/rules.yml'})) == 3 and rules(**{'file[]': 'x'}) == []
        assert 'alerts' in group['rules'][1] and ask(s, '/rules', exclude_alerts='true')['data']['groups'][0]['rules'][1]['alerts'] == []
        assert [r['name'] for r in ask(s, '/rules', type='record')['data']['groups'][0]['rules']] == ['mx:up:count']

        def chosen(**params):
            return [r['name'] for g in ask(s, '/rules', **params)['data']['groups'] for r in g['rules']]
        assert chosen(**{'rule_name[]': ['Always', 'mx:up:count']}) == ['mx:up:count', 'Always'] and chosen(**{'rule_name[]': 'x'}) == []
        assert len(chosen(**{'rule_group[]': ['x', 'g']})) == 3 and chosen(**{'rule_group[]': 'x'}) == []
        assert len(chosen(**{'file[]': f'{base}/rules.yml'})) == 3 and chosen(**{'file[]': 'rules.yml'}) == []
        assert chosen(**{'match[]': ['{project=~"mx-.*"}', '{a="b"}']}) == ['Always']
        bare = ask(s, '/rules', exclude_alerts='true', **{'rule_name[]': 'Always'})['data']['groups'][0]['rules'][0]
        assert (bare['state'], bare['alerts']) == ('firing', [])
        for bad in ({'exclude_alerts': 'x'}, {'match[]': '{'}, {'type': 'x'}):
            assert s.api('GET', API + '/rules', params=bad).status_code == 400, bad
        explodes = s.api('GET', API + '/rules', params={'match[]': '{long=~"(x+x+)+[yz]"}'})
        assert explodes.status_code == 422 and 'needs more than 200000 steps' in explodes.json()['error']
        s.user('mx-sees', 'mx-seen', 'guest')
        assert [a['labels']['alertname'] for a in ask(s, '/alerts', user='mx-sees')['data']['alerts']] == ['Always']
        assert [r['name'] for g in ask(s, '/rules', user='mx-sees')['data']['groups'] for r in g['rules']] == ['Always']
        assert wait_for(lambda: ask(s, '/query', query='ALERTS')['data']['result'], 60, 'what alerts write, after two turns')
        assert {x['metric']['alertname'] for x in ask(s, '/query', user='mx-sees', query='ALERTS')['data']['result']} == {'Always'}

        # an alert that was pending for half an hour when the machine lost its power, waits for the rest of its hour
        write(s, [({'__name__': 'ALERTS_FOR_STATE', 'alertname': 'Waits'}, [(time.time(), time.time() - 1800)])])
        for _ in range(2):
            s.kill()
            (base / 'rules.yml').write_text(RULES + WAITS)
            s.start()
            assert wait_for(lambda: any(1500 < age < 2100 for age in ages(s)), 60, 'the alert goes on')
            waits = [a for a in ask(s, '/alerts')['data']['alerts'] if a['labels']['alertname'] == 'Waits'][0]
            assert waits['state'] == 'pending' and waits['annotations']['about'].endswith(' up')
    finally:
        shutil.rmtree(base)


def test_pages_of_prometheus_lead_to_the_console(served):
    for path, to in (('', '/ui/monitoring'), ('/', '/ui/monitoring'), ('/targets', '/ui/monitoring/targets'),
                     ('/graph?g0.expr=rate%28up%5B5m%5D%29%20%26%201&g0.tab=1&g1.expr=b&g0.range_input=2h', '/ui/monitoring?q=rate%28up%5B5m%5D%29%20%26%201&q=b&range=2h&tab=table'),
                     ('/query?g0.expr=up&g0.end_input=2026-01-31%2010:00:00&g0.range_input=x', '/ui/monitoring?q=up&end=2026-01-31T10%3A00%3A00.000Z')):
        r = requests.get(served.url + '/prometheus' + path, timeout=10, allow_redirects=False)
        assert (r.status_code, r.headers['Location']) == (302, to)


def test_the_server_says_how_it_is(served):
    info = ask(served, '/status/runtimeinfo')['data']
    assert info['CWD'] == str(served.state) and info['goroutineCount'] > 4 and info['storageRetention'] == '15d' and info['corruptionCount'] == 0
    assert info['startTime'] <= info['lastConfigTime'] <= info['serverTime'] and info['reloadConfigSuccess'] is True and info['hostname']
    assert served.api('POST', '/prometheus/-/reload').status_code == 200
    assert ask(served, '/status/runtimeinfo')['data']['lastConfigTime'] > info['lastConfigTime']
    seen = ask(served, '/status/runtimeinfo', user='mx-dev')['data']
    assert seen['CWD'] == seen['hostname'] == ''
    for path, more in (('/query', {'time': NOW}), ('/query_range', {'start': NOW - 60, 'end': NOW, 'step': 15})):
        plain, full = (ask(served, path, query='sum(mx_requests_total{project="mx-one"})', **more, **stats)['data'] for stats in ({}, {'stats': 'all'}))
        assert 'stats' not in plain and plain['result'] == full['result']
        assert full['stats']['samples']['totalQueryableSamples'] >= 2 and full['stats']['samples']['peakSamples'] >= 1
        assert full['stats']['timings']['execTotalTime'] >= full['stats']['timings']['evalTotalTime'] >= 0


def test_healthy_and_ready_need_no_sign_in(served):
    assert requests.get(served.url + '/prometheus/-/healthy', timeout=10).text == 'Prometheus Server is Healthy.\n'
    assert requests.get(served.url + '/prometheus/-/ready', timeout=10).text == 'Prometheus Server is Ready.\n'


# --- the command line ---

def test_queries_from_a_terminal(served):
    out = served.cli('query', f'mx_requests_total{{project="mx-one"}} @ {NOW}', check=True).stdout
    assert out.splitlines()[0].split() == ['SERIES', 'VALUE'] and 'mx_requests_total{instance="n2:80", job="mx", project="mx-one"}' in out and '600' in out
    out = served.cli('query', 'sum(mx_requests_total)', '--start', NOW - 300, '--end', NOW, '--step', '15', check=True).stdout
    assert '0 to 3600, last 3600' in out and out.splitlines()[2].strip().startswith('▁') and out.rstrip().endswith('█')
    whole = json.loads(served.cli('query', 'mx_requests_total', '--json', '--time', NOW, check=True).stdout)
    assert len(whole['data']['result']) == 8
    # a series is printed whole, as a selector that finds it, whatever its bytes are
    write(served, [({'__name__': 'mx.bytes', 'my label': 'ta\t"q"\\\n\0\u2603', 'long': 'x' * 200}, [(NOW, 7.0)])])
    shown = served.cli('query', '{"mx.bytes"}', '--time', NOW, check=True).stdout.splitlines()[1]
    assert shown == '{"mx.bytes", long="' + 'x' * 200 + '", "my label"="ta\\x09\\"q\\"\\\\\\n\\x00\u2603"}  7'
    assert served.cli('query', shown.removesuffix('  7'), '--time', NOW, check=True).stdout.splitlines()[1] == shown
    bad = served.cli('query', 'sum(')
    assert bad.returncode != 0 and '1:5: parse error' in bad.stderr
    assert 'mx_requests_total' in served.cli('metrics', 'tsdb', 'analyze', '--limit', '500', check=True).stdout
    assert served.cli('query', 'mx_requests_total', '--time', NOW, user='mx-nobody', check=True).stdout == 'No series.\n'


def test_many_at_once_get_the_same(served):
    wrong = []

    def work():
        for _ in range(20):
            if len(ask(served, '/query', user='mx-both', query='mx_requests_total', time=NOW)['data']['result']) != 4:
                wrong.append(1)
    threads = [threading.Thread(target=work) for _ in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not wrong
