"""Pipelines against who means ill: bodies, streams, numbers and races; who may change what runs in another's name."""
import concurrent.futures
import json
import socket

from test_f10_pipelines import COMPONENT, DIGITS, bring, chain, end, get_run, put, put_file, run, start, studio  # noqa: F401

AT = '/api/v1/projects/studio'


def at_once(n, do):
    """What n threads get that begin together."""
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return sorted(pool.map(do, range(n)))


def test_of_those_who_saw_the_same_version_one_saves(studio):
    put(studio, 'raced', chain(1))
    codes = at_once(8, lambda i: put(studio, 'raced', chain(i + 2), **{'If-Match': '"1"'}).status_code)
    assert codes == [200] + 7 * [409]
    assert studio.api('GET', f'{AT}/pipelines/raced').json()['version'] == 2
    codes = at_once(8, lambda i: studio.api('POST', f'{AT}/pipelines', json={'name': 'raced-new'}).status_code)
    assert codes == [201] + 7 * [409]


def test_a_run_is_tried_again_once(studio):
    bring(studio, 'fails-once', f"""
outputs: [{{name: out}}]
implementation: {{container: {{image: {studio.busybox}, command: [sh, -c, 'exit 1', {{outputPath: out}}]}}}}
""")
    put(studio, 'again', {'pipeline': 1, 'nodes': {'a': {'module': 'fails-once'}}})
    failed = run(studio, 'again')
    codes = at_once(6, lambda _: studio.api('POST', f'{AT}/runs/{failed["id"]}/retry').status_code)
    assert codes.count(202) >= 1 and set(codes) <= {202, 409}
    assert end(studio, failed['id'])['state'] == 'failed'
    assert studio.api('DELETE', f'{AT}/modules/fails-once').status_code == 204


def test_every_body_has_its_limit(studio):
    put(studio, 'wide', {**chain(1), 'params': [{'name': 'a', 'default': ''}]})
    big = 'x' * (1 << 20)
    for method, path, body in (('PUT', 'pipelines/big', 'pipeline: 1\ndescription: ' + big), ('POST', 'pipelines/check', 'pipeline: 1\ndescription: ' + big),
                               ('PUT', 'modules/big', COMPONENT % studio.busybox + '#' + big), ('POST', 'pipelines/wide/runs', json.dumps({'params': {'a': big}})),
                               ('PUT', 'pipelines/wide/schedule', json.dumps({'cron': '0 0 1 1 *', 'params': {'a': big}})),
                               ('POST', 'pipelines', json.dumps({'name': 'big', 'document': {'pipeline': 1, 'description': big}}))):
        r = studio.api(method, f'{AT}/{path}', data=body, headers={'Content-Type': 'application/yaml' if body[0] != '{' else 'application/json'})
        assert r.status_code in (400, 413) and 'error' in r.json(), (method, path, r.status_code, r.text[:200])
    assert studio.api('GET', f'{AT}/pipelines/big').status_code == 404


def test_only_so_many_follow_a_run(studio):
    put(studio, 'followed', DIGITS.replace('layers: "256"', 'layers: "252"'))
    begun = start(studio, 'followed', params={'epochs': 100000})
    request = (f'GET {AT}/runs/{begun["id"]}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {studio.token()}\r\n\r\n').encode()
    held = []
    codes = []
    for _ in range(101):
        s = socket.create_connection(('127.0.0.1', studio.port), 30)
        s.sendall(request)
        held.append(s)
        codes.append(int(s.recv(64).split()[1]))
    assert codes == 100 * [200] + [429]
    for s in held:
        s.close()
    assert studio.api('POST', f'{AT}/runs/{begun["id"]}/cancel').status_code == 202
    assert end(studio, begun['id'])['state'] == 'cancelled'


def test_measures_that_are_too_many_are_left_out(studio):
    """All of a run's have to fit one answer."""
    bring(studio, 'wordy', f"""
outputs: [{{name: out}}]
implementation:
  container:
    image: {studio.busybox}
    command:
      - sh
      - -c
      - >-
        echo x > "$0"; echo '{{"t":"progress","done":0.5,"metric":{{"x":1}}}}';
        printf '{{"t":"progress","done":1,"metric":{{"x":2'; for i in $(seq 2000); do printf ',"x%d":1' $i; done; echo '}}}}'
      - {{outputPath: out}}
""")
    put(studio, 'wordy-run', {'pipeline': 1, 'nodes': {'a': {'module': 'wordy'}}})
    done = run(studio, 'wordy-run')
    assert done['state'] == 'succeeded' and done['nodes']['a']['metrics'] == {'x': 1}, done['nodes']['a']
    assert studio.api('DELETE', f'{AT}/modules/wordy').status_code == 204


def test_who_may_not_run_changes_no_module_of_what_runs_by_the_clock(studio):
    bring(studio, 'clockwork', COMPONENT % studio.busybox)
    document = chain(1)
    document['nodes']['count'] = {'module': 'clockwork', 'inputs': {'train_data': 'n0.table'}}
    put(studio, 'clockworks', document)
    made = studio.api('POST', '/api/v1/tokens', json={'name': 'brings', 'scopes': ['pipeline:read', 'pipeline:write']}).json()
    half = studio.api('POST', '/api/v1/tokens', json={'name': 'half', 'scopes': ['pipeline:read', 'pipeline:write', 'pipeline:run']}).json()

    def change(token, name='clockwork'):
        return studio.api('PUT', f'{AT}/modules/{name}', token=token, data=(COMPONENT % studio.busybox).encode(), headers={'Content-Type': 'application/yaml'})
    assert change(made['token']).status_code == 200
    assert studio.api('PUT', f'{AT}/pipelines/clockworks/schedule', json={'cron': '0 3 1 1 *'}).status_code == 200
    refused = change(made['token'])
    assert refused.status_code == 403 and 'by the clock' in refused.json()['error']['message']
    assert change(half['token']).status_code == 403  # running writes to volumes, too
    assert studio.api('PUT', f'{AT}/pipelines/clockworks', token=half['token'], json=chain(2)).status_code == 403
    assert change(made['token'], 'clockwork2').status_code == 200
    assert studio.api('DELETE', f'{AT}/pipelines/clockworks/schedule').status_code == 204 and change(made['token']).status_code == 200
    for t in (made, half):
        assert studio.api('DELETE', f'/api/v1/tokens/{t["id"]}').status_code == 204
