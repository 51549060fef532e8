"""PromQL: thousands of generated queries, answered by Prometheus and by us, over the same data.

The samples lie off every edge of a window, as ranges of Prometheus 3 are open at their left and those of 2.42 are
not. What else differs between the two is left out by the generator:
  holt_winters (double_exponential_smoothing, experimental in 3) and the regular expressions' '.' on newlines;
  native histograms; annotations, which 2.42 does not have;
  timestamp() of a selector with @ and offset (2.42 forgets the offset after it has read the samples);
  predict_linear() of a range with @ (2.42 moves it), stddev of one that is infinite (0 there, NaN in 3);
  rate() of a counter that begins close to zero inside of the range (3 extrapolates less; data here begins high);
  duplicates of sums and averages in the last digits (3 adds with compensation): compared to 1e-9, and what makes
  noise large (==, floor, %, changes, ...) is only asked of numbers that are exact.
What has no order in both (ties of topk) is compared by its values."""
import itertools
import json
import math
import os
import random
import shutil
import subprocess

import pytest
import requests

from conftest import BUILD, free_port, wait_for

SEED = int(os.environ.get('PROMQL_SEED', '1'))
QUERIES = int(os.environ.get('PROMQL_QUERIES', '2500'))
BASE = 1_700_000_000  # seconds; a multiple of no step below
HOURS = 2
BINARIES = os.environ.get('PROMETHEUS_BIN', '/usr/bin')


# --- data ---

def series():
    """[(labels, [(ms, value)])]; values are quarters, so that sums of them are exact."""
    r = random.Random(SEED * 7 + 1)
    out = []
    for i in range(8):
        where = {'instance': f'n{i}', 'job': 'ab'[i % 2], 'rack': f'r{i % 3}'}
        phase = r.randrange(1, 15000)
        times = []
        for k in range(HOURS * 240):
            ms = BASE * 1000 + k * 15000 + phase + r.randrange(-300, 300)
            times.append(ms + 7 if ms % 500 == 0 else ms)  # on no edge: these are at whole and half seconds
        out += counters(r, where, times) + gauges(r, where, times) + histogram(r, i, where, times)
    return out


def counters(r, where, times):
    out = []
    for code in ('200', '404', '500'):
        v, samples = r.randrange(4000, 8000) / 4, []
        for ms in times:
            v += r.choice((0, 1, 2, 5, 9)) / 4
            if r.random() < 0.004:
                v = 500 + r.randrange(100)
            samples.append((ms, v))
        out.append(({'__name__': 'req_total', 'code': code, **where}, samples))
    return out


def gauges(r, where, times):
    out = []
    for name in ('temp', 'load'):
        v, samples = float(r.randrange(-40, 160)), []
        for ms in times:
            v += r.randrange(-9, 10) / 4
            samples.append((ms, v))
        out.append(({'__name__': name, **where}, samples))
    out.append(({'__name__': 'info', 'version': f'v{r.randrange(3)}', **where}, [(ms, 1.0) for ms in times]))
    # Comes and goes, and has numbers that are none.
    there, samples = True, []
    for ms in times:
        there = r.random() < (0.97 if there else 0.05)
        if there:
            samples.append((ms, r.choice((0.0, 1.5, -2.25, math.nan, math.inf, -math.inf, 7.0, 7.25))))
    out.append(({'__name__': 'odd', **where}, samples or [(times[0], 1.0)]))
    there, samples = True, []
    for ms in times:
        there = r.random() < (0.98 if there else 0.03)
        if there:
            samples.append((ms, float(r.randrange(0, 4))))
    out.append(({'__name__': 'holes', **where}, samples or [(times[0], 1.0)]))
    return out


def histogram(r, index, where, times):
    bounds = ('0.1', '0.5', '1', '2.5', '+Inf')
    counts, total, rows = [100.0] * len(bounds), 500 + index / 64, {b: [] for b in bounds}
    sums, all_of = [], []
    for ms in times:
        for _ in range(r.randrange(0, 6)):
            at = r.choices(range(len(bounds)), (5, 4, 3, 2, 1))[0]
            for k in range(at, len(bounds)):
                counts[k] += 1
            total += at / 2 + index / 1024  # no two are the same: topk has an order
        for b, c in zip(bounds, counts):
            rows[b].append((ms, c))
        sums.append((ms, total))
        all_of.append((ms, counts[-1]))
    where = {k: v for k, v in where.items() if k != 'rack'}
    return [({'__name__': 'lat_bucket', 'le': b, **where}, s) for b, s in rows.items()] + [
        ({'__name__': 'lat_sum', **where}, sums), ({'__name__': 'lat_count', **where}, all_of)]


def text(v):
    return 'NaN' if math.isnan(v) else '+Inf' if v == math.inf else '-Inf' if v == -math.inf else repr(v)


def labels_text(labels, skip=()):
    return ','.join(f'{k}="{v}"' for k, v in sorted(labels.items()) if k not in skip)


# --- queries ---

NAMES = ('req_total', 'temp', 'load', 'info', 'holes', 'odd', 'lat_bucket', 'lat_count', 'lat_sum')
EXACT = ('temp', 'load', 'holes', 'info', 'req_total')
MATCHERS = ('', '', '', '{job="a"}', '{job!="a"}', '{instance=~"n[1-4]"}', '{instance!~"n.*[05]"}', '{rack="r1"}',
            '{job=~"a|b",rack!=""}', '{none=""}', '{none="x"}', '{instance=~"n1|n2|n7"}', '{rack=~".+"}')
DURATIONS = ('17s', '1m7s', '2m', '5m', '10m', '31m', '1h3s')
SUBQUERIES = ('5m17s500ms:1m', '10m7s500ms:30s', '3m13s500ms:', '20m11s500ms:2m', '11m3s500ms:47s')
OFFSETS = ('', '', '', '', ' offset 1m', ' offset 5m3s', ' offset -2m', f' @ {BASE + 3607}', ' @ start()', ' @ end()',
           f' @ {BASE + 5003} offset 3m', ' offset 7m @ end()', f' @ {BASE - 99}')
LABELS = ('job', 'instance', 'rack', 'code', 'none', 'le')
OVER = ('avg', 'sum', 'min', 'max', 'count', 'last', 'stddev', 'stdvar', 'present')
COUNTING = ('changes', 'resets', 'count_over_time', 'present_over_time', 'last_over_time', 'max_over_time',
            'min_over_time', 'sum_over_time')
SMOOTH = ('abs', 'exp', 'ln', 'log2', 'log10', 'sqrt', 'sin', 'cos', 'atan', 'sinh', 'cosh', 'tanh', 'asinh', 'acosh',
          'asin', 'acos', 'atanh', 'rad', 'deg', 'tan')
STEPPED = ('ceil', 'floor', 'round', 'sgn', 'minute', 'hour', 'day_of_week', 'day_of_month', 'day_of_year',
           'days_in_month', 'month', 'year')


class Generator:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def pick(self, *options):
        return self.r.choice(options)()

    def number(self):
        return self.r.choice(('0', '1', '2', '-3', '0.5', '1e3', '100', 'Inf', 'NaN', '-0.25', '0x1F', '7'))

    def matcher(self, name):
        if self.r.random() < 0.06:
            return '{__name__=~"%s",rack=~"r[01]"}' % self.r.choice(('temp|load', 'lat_.*', 'te.p', 'info|temp'))
        return name + self.r.choice(MATCHERS)

    def selector(self, names=NAMES):
        return self.matcher(self.r.choice(names)) + self.r.choice(OFFSETS)

    def range(self, depth, names=NAMES):
        if depth > 0 and self.r.random() < 0.3:
            return f'({self.vector(depth - 1)})[{self.r.choice(SUBQUERIES)}]' + self.r.choice(OFFSETS)
        return f'{self.matcher(self.r.choice(names))}[{self.r.choice(DURATIONS)}]' + self.r.choice(OFFSETS)

    def exact_range(self, names=EXACT):
        if self.r.random() < 0.3:
            return f'({self.exact(0)})[{self.r.choice(SUBQUERIES)}]' + self.r.choice(OFFSETS)
        return self.range(0, names)

    def names(self, least=0):
        return ', '.join(self.r.sample(LABELS, self.r.randrange(least, 3)))

    def scalar(self, depth):
        return self.pick(self.number, self.number, lambda: 'time()', lambda: f'scalar({self.vector(depth - 1)})'
                         if depth > 0 else 'pi()', lambda: f'({self.number()} {self.r.choice("+-*/^%")} 3)',
                         lambda: f'({self.number()} > bool {self.number()})')

    def exact(self, depth):
        """Vectors whose numbers have no noise."""
        if depth <= 0:
            return self.selector(EXACT)
        return self.pick(
            lambda: self.selector(EXACT), lambda: f'-{self.selector(EXACT)}',
            lambda: f'({self.exact(depth - 1)} {self.r.choice("+-")} {self.number()})',
            lambda: f'{self.r.choice(COUNTING)}({self.exact_range()})',
            lambda: f'{self.r.choice(STEPPED)}({self.exact(depth - 1)})',
            lambda: f'{self.r.choice(("sum", "min", "max", "count", "group"))} {self.grouping()}'
                    f'({self.exact(depth - 1)})',
            lambda: f'timestamp({self.moment(self.exact, depth)})', lambda: f'abs({self.exact(depth - 1)})',
            lambda: f'({self.exact(depth - 1)} {self.compare()} {self.number()})',
            lambda: f'({self.number()} {self.compare()} {self.exact(depth - 1)})',
            lambda: self.binary(self.exact, depth, ('+', '-', '*')))

    def moment(self, kind, depth):
        """What timestamp() takes: not @ and offset at once."""
        v = kind(depth - 1)
        return f'{v} + 0' if '@' in v and 'offset' in v else v

    def grouping(self):
        return self.r.choice(('', f'by ({self.names()})', f'without ({self.names()})'))

    def compare(self):
        return self.r.choice(('==', '!=', '>', '<', '>=', '<=')) + self.r.choice(('', ' bool'))

    def matching(self):
        return self.r.choice(('', f'on ({self.names(1)})', f'ignoring ({self.names(1)})', 'on (instance)',
                              'ignoring (code)', 'ignoring (version, code)'))

    def binary(self, kind, depth, ops):
        side = self.r.choice(('', '', f'group_left({self.r.choice(("", "version", "rack, code"))})',
                              f'group_right({self.r.choice(("", "version"))})'))
        op, match = self.r.choice(ops), self.matching()
        return f'({kind(depth - 1)} {op} {match}{" " + side if match else ""} {kind(depth - 1)})'

    def join(self, depth):
        """Operators whose sides do match."""
        r = self.r
        op = r.choice(('+', '-', '*', '/', '>', '<', '>= bool', '!=', '== bool', 'atan2', '%', '^'))
        a, b = r.choice((
            ('temp', 'on (instance) group_left(version) info'), ('temp', 'ignoring (version) info'), ('temp', 'load'),
            ('req_total', 'ignoring (code) group_left temp'), ('info', 'on (instance, job) group_right temp'),
            ('req_total', 'on (instance) group_left (version) info'), ('temp', 'on (instance) group_right req_total'),
            ('sum by (job) (temp)', 'on (job) max by (job) (load)'), ('holes', 'temp'), ('temp', 'holes'),
            ('req_total{code="200"}', 'on (instance, rack) req_total{code="404"}'),
            ('temp', 'on (rack) group_left sum by (rack) (load)')))
        return f'({a} {op} {b})'

    def sets(self, depth):
        return (f'({self.vector(depth - 1)} {self.r.choice(("and", "or", "unless"))} '
                f'{self.r.choice((self.matching(), ""))} {self.vector(depth - 1)})')

    def aggregate(self, depth):
        name = self.r.choice(('sum', 'avg', 'min', 'max', 'count', 'group', 'stddev', 'stdvar', 'quantile'))
        if name.startswith('std'):
            return f'{name} {self.grouping()} ({self.selector(EXACT)})'
        extra = f'{self.r.choice(("0.5", "0", "1", "0.9", "1.5", "-1", "scalar(info)"))}, ' if name == 'quantile' else ''
        return f'{name} {self.grouping()} ({extra}{self.vector(depth - 1)})'

    def chosen(self, depth):
        name = self.r.choice(('topk', 'bottomk'))
        return f'{name} {self.grouping()} ({self.r.choice(("1", "2", "3", "0", "100", "2.7"))}, ' \
               f'{self.r.choice(("lat_sum", "lat_sum - 100", "rate(lat_sum[31m])", "lat_sum * on (instance) lat_sum"))})'

    def window(self, depth):
        return self.pick(
            lambda: f'{self.r.choice(OVER)}_over_time({self.range(depth - 1)})',
            lambda: f'quantile_over_time({self.r.choice(("0.5", "0.99", "0", "1", "2"))}, {self.range(depth - 1)})',
            lambda: f'{self.r.choice(("rate", "increase", "irate"))}({self.range(0, ("req_total", "lat_bucket", "lat_count"))})',
            lambda: f'{self.r.choice(("delta", "idelta", "deriv"))}({self.range(depth - 1)})',
            lambda: f'predict_linear({self.range(0).split(" @")[0]}, {self.r.choice(("60", "3600", "-100"))})',
            lambda: f'{self.r.choice(("changes", "resets"))}({self.exact_range()})',
            lambda: f'absent_over_time({self.range(0)})')

    def function(self, depth):
        return self.pick(
            lambda: f'{self.r.choice(SMOOTH)}({self.vector(depth - 1)})',
            lambda: f'{self.r.choice(STEPPED)}({self.exact(depth - 1)})',
            lambda: f'round({self.exact(depth - 1)}, {self.r.choice(("0.5", "10", "0.25", "3"))})',
            lambda: f'clamp({self.vector(depth - 1)}, {self.number()}, {self.number()})',
            lambda: f'{self.r.choice(("clamp_min", "clamp_max"))}({self.vector(depth - 1)}, {self.scalar(depth - 1)})',
            lambda: f'{self.r.choice(STEPPED[4:])}()', lambda: f'timestamp({self.moment(self.vector, depth)})',
            lambda: f'absent({self.vector(depth - 1)})', lambda: f'vector({self.scalar(depth - 1)})',
            lambda: f'{self.r.choice(("sort", "sort_desc"))}({self.exact(depth - 1)})',
            lambda: f'label_replace({self.vector(depth - 1)}, "{self.r.choice(("new", "job", "rack"))}", '
                    f'"{self.r.choice(("$1", "x-$1", "", "${1}y", "$0", "$$", "$2"))}", "{self.r.choice(LABELS)}", '
                    f'"{self.r.choice((".*", "(.*)", "n(.)", "(r)(.)", "a|(b)", "", "x"))}")',
            lambda: f'label_join({self.vector(depth - 1)}, "{self.r.choice(("new", "job"))}", "{self.r.choice(("-", ""))}"'
                    f', "{self.r.choice(LABELS)}", "{self.r.choice(LABELS)}")',
            lambda: f'histogram_quantile({self.r.choice(("0.5", "0.9", "0.99", "0", "1", "1.1", "-1", "NaN"))}, '
                    + self.r.choice(('rate(lat_bucket[5m])', 'sum by (le) (rate(lat_bucket[10m]))', 'lat_bucket',
                                     'sum by (le, job) (lat_bucket)', 'lat_bucket{le!="+Inf"}', 'lat_bucket{le=~"1|.Inf"}',
                                     'temp')) + ')',
            lambda: f'count_values {self.grouping()} ("{self.r.choice(("value", "job"))}", {self.exact(depth - 1)})')

    def vector(self, depth):
        if depth <= 0:
            return self.selector()
        return self.pick(
            self.selector, lambda: self.aggregate(depth), lambda: self.aggregate(depth), lambda: self.window(depth),
            lambda: self.window(depth), lambda: self.function(depth), lambda: self.function(depth),
            lambda: self.sets(depth), lambda: self.join(depth), lambda: self.chosen(depth), lambda: self.exact(depth),
            lambda: f'-{self.selector()}', lambda: f'({self.vector(depth - 1)})',
            lambda: f'({self.vector(depth - 1)} {self.r.choice(("+", "-", "*", "/", "^", "atan2"))} {self.scalar(depth - 1)})',
            lambda: f'({self.scalar(depth - 1)} {self.r.choice(("+", "-", "*", "/", "^", "atan2"))} {self.vector(depth - 1)})',
            lambda: self.binary(self.vector, depth, ('+', '-', '*', '/', 'atan2')))

    def query(self):
        """(query, start, end, step); step 0: one moment. Times are whole seconds."""
        kind = self.r.random()
        depth = self.r.choice((1, 2, 2, 3))
        query = self.scalar(depth) if kind < 0.03 else self.vector(depth)
        start = BASE + self.r.randrange(-400, HOURS * 3600 + 400)
        if self.r.random() < 0.4:
            return (self.range(1), start, start, 0) if kind > 0.97 else (query, start, start, 0)
        step = self.r.choice((13, 30, 60, 61, 300, 7))
        return query, start, start + step * self.r.randrange(0, 25), step


# --- comparison ---

def close(a, b):
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1)


def rows(result):
    return [(tuple(sorted(r['metric'].items())),
             [(round(float(t), 3), float(v)) for t, v in (r['values'] if 'values' in r else [r['value']])])
            for r in result]


def difference(query, theirs, ours):
    """None, or what is not the same."""
    if theirs['status'] != 'success' or 'error' in ours:
        if theirs['status'] == 'success' or 'error' not in ours:
            return f"error: {theirs.get('error')} / {ours.get('error')}"
        return None
    kind, result = theirs['data']['resultType'], theirs['data']['result']
    if kind == 'scalar':
        return None if close(float(result[1]), float(ours['scalar'])) else f"{result} / {ours['scalar']}"
    a, b = rows(result), rows(ours['result'])
    if query.startswith('sort') and kind == 'vector':
        x, y = [r[1][0][1] for r in a], [r[1][0][1] for r in b]
        if len(x) != len(y) or not all(map(close, x, y)):
            return f'order: {x} / {y}'
    a, b = dict(a), dict(b)
    if a.keys() != b.keys():
        return f'series only there: {sorted(a.keys() - b.keys())[:3]}, only here: {sorted(b.keys() - a.keys())[:3]}'
    for labels, x in a.items():
        y = b[labels]
        if [t for t, _ in x] != [t for t, _ in y]:
            return f'times of {labels}: {x[:4]}.. / {y[:4]}..'
        for (t, v), (_, w) in zip(x, y):
            if not close(v, w):
                return f'{labels} at {t}: {v} / {w}'
    return None


# --- the two ---

class Theirs:
    def __init__(self, directory, data):
        text_file = directory / 'data.om'
        lines = [(ms, f'{labels["__name__"]}{{{labels_text(labels, ("__name__",))}}} {text(v)} {ms / 1000:.3f}')
                 for labels, samples in data for ms, v in samples]
        text_file.write_text('\n'.join(line for _, line in lines) + '\n# EOF\n')
        subprocess.run([f'{BINARIES}/promtool', 'tsdb', 'create-blocks-from', 'openmetrics', str(text_file),
                        str(directory / 'data')], check=True, capture_output=True)
        self.port = free_port()
        self.process = subprocess.Popen(
            [f'{BINARIES}/prometheus', '--config.file=/dev/null', f'--storage.tsdb.path={directory / "data"}',
             '--storage.tsdb.retention.time=100y', f'--web.listen-address=127.0.0.1:{self.port}'],
            stdout=subprocess.DEVNULL, stderr=open(directory / 'prometheus.log', 'wb'))
        self.session = requests.Session()
        wait_for(self.ready, 60, 'prometheus is ready')

    def ready(self):
        try:
            return self.session.get(f'http://127.0.0.1:{self.port}/-/ready', timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def ask(self, query, start, end, step):
        if step == 0:
            where, form = 'query', {'query': query, 'time': start}
        else:
            where, form = 'query_range', {'query': query, 'start': start, 'end': end, 'step': step}
        return self.session.post(f'http://127.0.0.1:{self.port}/api/v1/{where}', data=form, timeout=60).json()

    def close(self):
        self.process.terminate()
        self.process.wait(30)


class Ours:
    def __init__(self, directory, data):
        file = directory / 'data.txt'
        file.write_text(''.join(
            '{' + labels_text(labels) + '} ' + ' '.join(f'{ms}:{text(v)}' for ms, v in samples) + '\n'
            for labels, samples in data))
        self.process = subprocess.Popen([str(BUILD / 'tests' / 'promql-driver'), str(file), str(directory / 'ours')], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def ask(self, query, start, end, step):
        self.process.stdin.write(f'i {start * 1000} {query}\n' if step == 0 else
                                 f'r {start * 1000} {end * 1000} {step * 1000} {query}\n')
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f'the driver ended at: {query}'
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0


@pytest.fixture(scope='module')
def both(tmp_path_factory):
    directory, data = tmp_path_factory.mktemp('promql'), series()
    theirs, ours = Theirs(directory, data), Ours(directory, data)
    yield theirs, ours
    theirs.close()
    ours.close()
    shutil.rmtree(directory, ignore_errors=True)


def test_generated_queries_have_the_answers_of_prometheus(both):
    theirs, ours = both
    generator, differences, answered = Generator(SEED), [], 0
    for _ in range(QUERIES):
        asked = generator.query()
        a, b = theirs.ask(*asked), ours.ask(*asked)
        answered += a['status'] == 'success' and bool(a['data']['result'])
        what = difference(asked[0], a, b)
        if what is not None:
            differences.append(f'{asked}: {what}')
    print(f'{QUERIES} queries, {answered} with an answer, {len(differences)} differences')
    assert answered > QUERIES / 2
    assert not differences, '\n'.join(itertools.islice(differences, 20))
