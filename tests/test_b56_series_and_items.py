"""strata-ml: ARIMA against statsmodels, item-based recommendations against brute force in numpy."""
import csv
import json
import resource

import numpy as np
import pytest

from test_b50_algorithms import ROOT, ok, read_csv, refused, write_csv
from test_b53_unsupervised import NILE, chain, column, same_for_threads

TABLES = ROOT.parent / 'shared/data/tables'
AIR = [float(f'{v:.10f}') for v in np.log([
    112, 118, 132, 129, 121, 135, 148, 148, 136, 119, 104, 118, 115, 126, 141, 135, 125, 149, 170, 170, 158, 133, 114, 140,
    145, 150, 178, 163, 172, 178, 199, 199, 184, 162, 146, 166, 171, 180, 193, 181, 183, 218, 230, 242, 209, 191, 172, 194,
    196, 196, 236, 235, 229, 243, 264, 272, 237, 211, 180, 201, 204, 188, 235, 227, 234, 264, 302, 293, 259, 229, 203, 229,
    242, 233, 267, 269, 270, 315, 364, 347, 312, 274, 237, 278, 284, 277, 317, 313, 318, 374, 413, 405, 355, 306, 271, 306,
    315, 301, 356, 348, 355, 422, 465, 467, 404, 347, 305, 336, 340, 318, 362, 348, 363, 435, 491, 505, 404, 359, 310, 337,
    360, 342, 406, 396, 420, 472, 548, 559, 463, 407, 362, 405, 417, 391, 419, 461, 472, 535, 622, 606, 508, 461, 390, 432])]


# --- ARIMA ---------------------------------------------------------------------------------------

def arima(tmp_path, values, words, horizon=24):
    """Figures of the model; the forecasts are n.csv, what was expected f.csv."""
    write_csv(tmp_path / 'd.csv', ['t', 'v'], [[i * 2, repr(float(v))] for i, v in enumerate(values)][::-1])
    ok('--outputs', 'yes', 'chain', 'read_csv --param path=./d.csv --out table=t',
       f'arima --in train=t --param value_col=v --param time_col=t {words} --out model=./m.smdl --out table=./f.csv',
       f'forecast --in model=./m.smdl --param horizon={horizon} --out table=./n.csv', cwd=tmp_path)
    return json.loads((tmp_path / 'm.preview.json').read_text())['figures']


def words_of(order, season, constant):
    names = ('p', 'd', 'q', 'seasonal_p', 'seasonal_d', 'seasonal_q', 'period')
    return ' '.join(f'--param {n}={v}' for n, v in zip(names, (*order, *season))) + f' --param constant={str(constant).lower()}'


def coefficients(figures, order, season):
    return [figures[f'{name}{i + 1}'] for name, n in (('ar', order[0]), ('ma', order[2]), ('sar', season[0]), ('sma', season[2])) for i in range(n)]


@pytest.mark.parametrize('values,order,season,constant', [
    (AIR, (0, 1, 1), (0, 1, 1, 12), False), (AIR, (2, 0, 0), (0, 1, 1, 12), True), (AIR, (1, 1, 1), (1, 0, 1, 12), False),
    (NILE, (0, 1, 1), (0, 0, 0, 1), False), (NILE, (1, 0, 1), (0, 0, 0, 1), True), (NILE, (1, 1, 0), (0, 0, 0, 1), True)])
def test_arima_is_the_maximum_that_statsmodels_sees(tmp_path, values, order, season, constant):
    sarimax = pytest.importorskip('statsmodels.tsa.statespace.sarimax')
    hessian = pytest.importorskip('statsmodels.tools.numdiff').approx_hess
    figures = arima(tmp_path, values, words_of(order, season, constant))
    mine = coefficients(figures, order, season)
    model = sarimax.SARIMAX(np.array(values, float), order=order, seasonal_order=season if season[3] > 1 else (0, 0, 0, 0),
                            trend='c' if constant else 'n', simple_differencing=True)
    sar = figures.get('sar1', 0)
    intercept = [figures['drift' if order[1] + season[1] else 'mean'] * (1 - sum(figures[f'ar{i + 1}'] for i in range(order[0]))) * (1 - sar)] \
        if constant else []
    # statsmodels' own likelihood of these coefficients, and no better one found by it
    seen = model.loglike([*intercept, *mine, figures['sigma2']])
    assert figures['loglik'] == pytest.approx(seen, rel=1e-9, abs=1e-6)
    theirs = model.fit(start_params=[*intercept, *mine, figures['sigma2']], disp=0, maxiter=200)
    assert figures['loglik'] > theirs.llf - 1e-4
    assert mine == pytest.approx(list(theirs.params[len(intercept):-1]), abs=0.01)
    k, n = len(mine) + len(intercept) + 1, len(values) - order[1] - season[1] * season[3]
    assert figures['aic'] == pytest.approx(2 * k - 2 * figures['loglik'])
    assert figures['aicc'] == pytest.approx(figures['aic'] + 2 * k * (k + 1) / (n - k - 1))
    assert figures['bic'] == pytest.approx(k * np.log(n) - 2 * figures['loglik'])
    at = np.array([*intercept, *mine, figures['sigma2']])
    if not constant:  # with one, the two models have different parameters
        scale = np.array([*np.ones(len(mine)), figures['sigma2']])
        spread = np.linalg.inv(-hessian(at / scale, lambda z: model.loglike(z * scale), epsilon=np.full(len(at), 1e-3)))
        errors = np.sqrt(np.diag(spread))[:len(mine)]
        names = [f'{name}{i + 1}_error' for name, n in (('ar', order[0]), ('ma', order[2]), ('sar', season[0]), ('sma', season[2])) for i in range(n)]
        assert [figures[f] for f in names] == pytest.approx(list(errors), rel=0.02)
    # forecasts from the states of the levels, with a diffuse start
    whole = sarimax.SARIMAX(np.array(values, float), order=order, seasonal_order=season if season[3] > 1 else (0, 0, 0, 0),
                            trend='c' if constant else 'n').smooth(at).get_forecast(24)
    assert column(tmp_path / 'n.csv', 'forecast') == pytest.approx(whole.predicted_mean, rel=1e-5)
    width = column(tmp_path / 'n.csv', 'upper') - column(tmp_path / 'n.csv', 'forecast')
    assert width == pytest.approx(1.959963985 * whole.se_mean, rel=1e-3)
    assert list(column(tmp_path / 'n.csv', 't')) == [2 * (len(values) + i) for i in range(24)]
    miss = (column(tmp_path / 'f.csv', 'v') - column(tmp_path / 'f.csv', 'fitted'))
    assert np.isnan(miss).sum() == len(values) - n and list(column(tmp_path / 'f.csv', 'v')) == pytest.approx(values)
    assert np.nanmean(miss[-n // 2:] ** 2) == pytest.approx(figures['sigma2'], rel=0.6)


def test_arima_of_passengers_is_what_r_prints(tmp_path):
    """R: arima(log(AirPassengers), c(0, 1, 1), seasonal = c(0, 1, 1)), as its manuals print it."""
    figures = arima(tmp_path, AIR, words_of((0, 1, 1), (0, 1, 1, 12), False))
    assert [round(figures[k], 4) for k in ('ma1', 'sma1', 'ma1_error', 'sma1_error')] == [-0.4018, -0.5569, 0.0896, 0.0731]
    assert (round(figures['sigma2'], 6), round(figures['loglik'], 1), round(figures['aic'], 1)) == (0.001348, 244.7, -483.4)


def test_arima_finds_its_order(tmp_path):
    figures = arima(tmp_path, AIR, '')
    assert [figures[k] for k in ('p', 'd', 'q', 'seasonal_p', 'seasonal_d', 'seasonal_q')] == [0, 1, 1, 0, 1, 1]  # as forecast::auto.arima
    order = lambda p, q, sp, sq: arima(tmp_path, AIR, words_of((p, 1, q), (sp, 1, sq, 12), False))['aicc']
    assert all(figures['aicc'] <= order(*o) + 1e-6 for o in ((1, 1, 0, 1), (0, 2, 0, 1), (0, 1, 1, 1), (0, 1, 0, 2), (0, 0, 0, 1), (0, 1, 0, 0)))
    figures = arima(tmp_path, NILE, '')
    assert (figures['p'], figures['d'], figures['q']) == (0, 1, 1)
    rng = np.random.RandomState(3)
    figures = arima(tmp_path, rng.standard_normal(200) + 50, '')
    assert (figures['p'], figures['d'], figures['q']) == (0, 0, 0) and figures['mean'] == pytest.approx(50, abs=0.3)
    walk = np.cumsum(rng.standard_normal(300))
    assert arima(tmp_path, walk, '')['d'] == 1


def passengers(rows):
    """The values without their logarithms."""
    return [[t, round(float(np.exp(v)))] for t, v in zip(rows, AIR)]


def forecast_of(tmp_path, module, rows, words='', horizon=24, types='t:real'):
    """The last 24 rows are not learned from."""
    write_csv(tmp_path / 'd.csv', ['t', 'v'], rows[:-24])
    ok('chain', f'read_csv --param path=./d.csv --param types={types} --out table=t',
       f'{module} --in train=t --param value_col=v --param time_col=t {words} --out model=./m.smdl',
       f'forecast --in model=./m.smdl --param horizon={horizon} --out table=./n.csv --out report=./r.json', cwd=tmp_path)
    return read_csv(tmp_path / 'n.csv')


MONTHS = [f'{1949 + i // 12}-{i % 12 + 1:02}-01' for i in range(144)]


@pytest.mark.parametrize('module,most', [('arima', 0.10), ('holt_winters', 0.105)])
@pytest.mark.parametrize('times,types', [(MONTHS, 't:date'), ([f'{1949 + i / 12:.11f}' for i in range(144)], 't:real'), (list(range(144)), 't:int')])
def test_the_defaults_find_season_order_and_scale(tmp_path, module, most, times, types):
    rows = passengers(times)
    out = forecast_of(tmp_path, module, rows, types=types)
    truth = np.array([v for _, v in rows[-24:]])
    assert np.mean(np.abs(np.array([float(r['forecast']) for r in out]) - truth) / truth) < most
    assert all(float(r['lower']) < float(r['forecast']) < float(r['upper']) for r in out)
    if types == 't:real':
        assert [float(r['t']) for r in out] == pytest.approx([1959 + i / 12 for i in range(24)], abs=1e-9)
    else:
        assert [r['t'] for r in out] == [str(t) for t in times[-24:]]


@pytest.mark.parametrize('times,then,types', [
    ([f'2023-{m + 1:02}-{d}' for m, d in enumerate((31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31))] * 2, ['2025-01-31', '2025-02-28', '2025-03-31'], 't:date'),
    ([f'2024-03-{d:02}' for d in range(1, 25)], ['2024-03-25', '2024-03-26', '2024-03-27'], 't:date'),
    ([f'2024-03-01T{h:02}:30:00Z' for h in range(24)], ['2024-03-02T00:30:00Z', '2024-03-02T01:30:00Z', '2024-03-02T02:30:00Z'], 't:time'),
    ([f'{2000 + q // 4}-{q % 4 * 3 + 1:02}-15' for q in range(24)], ['2006-01-15', '2006-04-15', '2006-07-15'], 't:date'),
    ([f'2024-03-{d:02}' for d in (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26)], ['2024-03-27', '2024-03-28', '2024-03-29'], 't:date')])
def test_forecasts_go_on_in_the_steps_of_the_times(tmp_path, times, then, types):
    if types == 't:date' and times[0] == times[12]:
        times = [t.replace('2023', '2024').replace('02-28', '02-29') if i >= 12 else t for i, t in enumerate(times)]
    rows = [[t, 100 + i + (i % 4) * 3 + (i * 7 % 5) / 10] for i, t in enumerate(times)] + [['', 0]] * 24
    assert [r['t'] for r in forecast_of(tmp_path, 'holt_winters', rows, horizon=3, types=types)] == then


def test_the_report_of_a_forecast_draws_past_future_and_range(tmp_path):
    out = forecast_of(tmp_path, 'arima', passengers(MONTHS), types='t:date')
    report = json.loads((tmp_path / 'r.json').read_text())
    chart, = report['charts']
    lines = {s['name']: s for s in chart['series']}
    assert (report['kind'], chart['kind'], chart['x_label'], chart['y_label'], chart['x_as']) == ('forecast', 'forecast', 't', 'v', 'date')
    assert lines['past']['y'] == [v for _, v in passengers(MONTHS)[:120]] and lines['past']['x'][0] == -7670
    for name in ('forecast', 'lower', 'upper'):  # from where the past ends
        assert lines[name]['y'] == [lines['past']['y'][-1]] + [float(r[name]) for r in out]
        assert lines[name]['x'][:2] == [lines['past']['x'][-1], -4018]


def test_a_season_is_found_in_values_alone(tmp_path):
    rng = np.random.RandomState(5)
    for period in (4, 7, 24):
        values = 50 + 10 * np.sin(np.arange(300) * 2 * np.pi / period) + rng.standard_normal(300)
        figures = arima(tmp_path, values, '')
        assert figures['period'] == period and figures['seasonal_p'] + figures['seasonal_d'] + figures['seasonal_q'] > 0
    assert arima(tmp_path, rng.standard_normal(300), '')['period'] == 1


@pytest.mark.parametrize('period,spread,noise,n,slope', [(12, 30, 10, 240, 1), (30, 30, 3, 400, 0.5), (7, 30, 10, 365, 0.2)])
def test_a_season_is_found_in_noise_and_with_a_trend(tmp_path, period, spread, noise, n, slope):
    """Neighbours of the season, and its multiples, are nearly as like it."""
    for seed in (1, 2):
        rng = np.random.RandomState(seed)
        values = 200 + slope * np.arange(n) + spread * np.sin(np.arange(n) * 2 * np.pi / period) + noise * rng.standard_normal(n)
        write_csv(tmp_path / 'd.csv', ['v'], [[v] for v in values])
        told = ok('chain', 'read_csv --param path=./d.csv --out table=t', 'holt_winters --in train=t --param value_col=v --out model=m', cwd=tmp_path)
        assert f'a season of {period} steps was found' in told.stdout, told.stdout


def test_a_time_that_is_no_year_and_one_of_milliseconds_leave_the_season_to_the_values(tmp_path):
    rng = np.random.RandomState(5)
    values = 50 + 10 * np.sin(np.arange(300) * 2 * np.pi / 7) + rng.standard_normal(300)
    for times, types in (([1000 + i / 2 for i in range(300)], 't:real'), ([f'2024-01-01T00:00:{i * 5 // 1000:02d}.{i * 5 % 1000:03d}' for i in range(300)], 't:time')):
        write_csv(tmp_path / 'd.csv', ['t', 'v'], [[t, v] for t, v in zip(times, values)])
        told = ok('chain', f'read_csv --param path=./d.csv --param types={types} --out table=t',
                  'holt_winters --in train=t --param value_col=v --param time_col=t --out model=./m.smdl', 'forecast --in model=./m.smdl --out table=p', cwd=tmp_path)
        assert 'a season of 7 steps was found' in told.stdout, told.stdout


def test_arima_says_what_it_cannot_learn_from(tmp_path):
    read = 'read_csv --param path=./e.csv --param types=v:real,t:real --out table=t'
    for rows, sentence, words in (([[1, 2], [2, ''], [3, 1], [4, 1]], "column 'v', row 2: the value is missing", ''),
                                  ([[1, 2], [1, 3], [2, 2]], 'its time is there twice', ''), ([], 'too few: this order needs at least 7', '--param p=1 --param q=1'),
                                  ([[i, i % 3] for i in range(6)], '6 values are too few', '--param p=1'), ([[i, 7] for i in range(30)], 'does not vary', '--param d=0'),
                                  ([[i, 3 * i] for i in range(30)], 'does not vary after its differences', '--param d=1'),
                                  ([[i, 7] for i in range(30)], 'does not vary', ''),
                                  ([[i, (-1) ** i * 1e300] for i in range(30)], 'too large', '--param d=1'),
                                  ([[i, -i * i] for i in range(30)], 'has no logarithm', '--param transform=log'),
                                  ([[i, v] for i, v in enumerate(NILE)], 'no season is to be seen', '--param seasonal_q=1')):
        write_csv(tmp_path / 'e.csv', ['t', 'v'], rows)
        refused(3, sentence, 'chain', read, f'arima --in train=t --param value_col=v --param time_col=t {words} --out model=m', cwd=tmp_path)
    for words, sentence in (('--param seasonal_q=2 --param period=365', 'reaches 732 steps back'), ('--param seasonal_p=1 --param period=1', '2 steps or more')):
        refused(2, sentence, 'chain', read, f'arima --in train=t --param value_col=v {words} --out model=m', cwd=tmp_path)
    rows = [[i, v] for i, v in enumerate(NILE)]
    write_csv(tmp_path / 'd.csv', ['t', 'v'], rows)
    same_for_threads(tmp_path, ['arima --in train=t --param value_col=v --param p=3 --param q=2 --out model=./m.smdl --out table=./f.csv'], ['m.smdl', 'f.csv'])
    write_csv(tmp_path / 'd.csv', ['t', 'v'], [[i, 1] for i in range(3)])
    refused(2, 'take one of holt_winters or arima', 'chain', 'read_csv --param path=./d.csv --out table=t',
            'kmeans --in train=t --param k=1 --out model=m', 'forecast --in model=m --out table=p', cwd=tmp_path)


def test_arima_of_half_hours_with_a_long_season(tmp_path):
    """Electricity of half hours: the state reaches a day back."""
    if not TABLES.is_dir():
        pytest.skip('no tables of others here')
    with open(TABLES / 'taylor.csv') as f:
        values = [float(r['x']) for r in csv.DictReader(f)][:48 * 14]
    sarimax = pytest.importorskip('statsmodels.tsa.statespace.sarimax')
    figures = arima(tmp_path, values, words_of((1, 0, 0), (0, 1, 1, 48), False), horizon=48)
    model = sarimax.SARIMAX(np.array(values), order=(1, 0, 0), seasonal_order=(0, 1, 1, 48), simple_differencing=True)
    assert figures['loglik'] == pytest.approx(model.loglike([figures['ar1'], figures['sma1'], figures['sigma2']]), rel=1e-7)
    around = [(figures['ar1'] + a, figures['sma1'] + b) for a in (-0.01, 0, 0.01) for b in (-0.01, 0, 0.01) if abs(figures['ar1'] + a) < 1]
    assert all(model.loglike([a, b, figures['sigma2']]) <= figures['loglik'] + 1e-6 for a, b in around)


# --- item-based recommendations ------------------------------------------------------------------

def expected(users, items, rated, similarity, k, shrink, sums):
    """Scores [user][item] by brute force; NaN where no neighbour is known."""
    n, m = len(users), len(items)
    r = np.full((n, m), np.nan)
    for (u, i), v in rated.items():
        r[users.index(u), items.index(i)] = v
    mean = np.nanmean(r, 1) if similarity == 'adjusted_cosine' else np.zeros(n)
    d = r - mean[:, None]
    z, there = np.nan_to_num(d), ~np.isnan(r)
    like = np.zeros((m, m))
    for i in range(m):
        for j in range(m):
            common = (there[:, i] & there[:, j]).sum()
            below = np.sqrt((z[:, i] ** 2).sum() * (z[:, j] ** 2).sum())
            s = common / (there[:, i] | there[:, j]).sum() if similarity == 'jaccard' else z[:, i] @ z[:, j] / below if below > 0 else 0
            like[i, j] = s * common / (common + shrink) if i != j and common else 0
    out = np.full((n, m), np.nan)
    for i in range(m):
        near = [j for j in np.argsort(-like[i], kind='stable') if like[i, j] > 0][:k]
        for u in range(n):
            known = [j for j in near if there[u, j]]
            weight = sum(like[i, j] for j in known)
            if weight > 0:
                total = sum(like[i, j] * d[u, j] for j in known)
                out[u, i] = total if sums else mean[u] + total / weight
    return out


def recommend_all(tmp_path, rows, words, n_items):
    write_csv(tmp_path / 'd.csv', ['user', 'item', 'rate'], rows)
    lines = [f'item_cf --in train=t --param user_col=user --param item_col=item {words} --out model=./m.smdl',
             f'recommend --in model=./m.smdl --param n={n_items} --param exclude_known=false --out table=./r.csv']
    same_for_threads(tmp_path, lines, ['m.smdl', 'r.csv'])
    got = {}
    for r in read_csv(tmp_path / 'r.csv'):
        got.setdefault(r['user'], []).append((r['item'], float(r['score'])))
    return got


def compare(got, users, items, want):
    for u, user in enumerate(users):
        mine = dict(got.get(user, []))
        assert set(mine) == {items[i] for i in np.flatnonzero(~np.isnan(want[u]))}
        assert [mine[i] for i in items if i in mine] == pytest.approx([v for v in want[u] if not np.isnan(v)], rel=1e-9, abs=1e-9)
        assert [s for _, s in got.get(user, [])] == sorted(mine.values(), reverse=True)


@pytest.mark.parametrize('similarity,k,shrink,implicit', [('cosine', 5, 0, False), ('cosine', 40, 10, True), ('adjusted_cosine', 7, 3, False),
                                                          ('jaccard', 4, 1.5, False), ('jaccard', 9, 0, True)])
def test_item_cf_is_brute_force(tmp_path, similarity, k, shrink, implicit):
    rng = np.random.RandomState(8)
    seen = rng.rand(50, 30) < 0.25
    seen[np.arange(50), np.arange(50) % 30] = True
    rows = [[f'u{u:02}', f'i{i:02}', round(float(rng.rand() * 5 + i / 10 + u / 20), 3)] for u, i in np.argwhere(seen)]
    users, items = sorted({r[0] for r in rows}), sorted({r[1] for r in rows})
    words = (f'--param rate_col=rate --param similarity={similarity} --param neighbours={k} --param shrink={shrink} '
             f'--param implicit={str(implicit).lower()}')
    got = recommend_all(tmp_path, rows, words, 30)
    compare(got, users, items, expected(users, items, {(a, b): c for a, b, c in rows}, similarity, k, shrink, implicit))
    ok('recommend', '--in', 'model=m.smdl', '--param', 'n=30', '--out', 'table=r.csv', cwd=tmp_path)
    rated = {(a, b) for a, b, _ in rows}
    assert not any((r['user'], r['item']) in rated for r in read_csv(tmp_path / 'r.csv'))


def test_item_cf_of_orders_without_ratings_is_brute_force(tmp_path):
    if not TABLES.is_dir():
        pytest.skip('no tables of others here')
    with open(TABLES / 'pizzaplace.csv') as f:
        rows = [[r['id'], r['name'], ''] for r in csv.DictReader(f)][:1500]
    users, items = sorted({r[0] for r in rows}), sorted({r[1] for r in rows})
    rated = {}
    for user, item, _ in rows:
        rated[user, item] = rated.get((user, item), 0) + 1
    compare(recommend_all(tmp_path, rows, '', len(items)), users, items, expected(users, items, rated, 'cosine', 20, 10, True))


def test_item_cf_refuses_what_it_cannot_use(tmp_path):
    read = 'read_csv --param path=./e.csv --out table=t'
    learn = 'item_cf --in train=t --param user_col=u --param item_col=i --param rate_col=r --out model=m'
    for rows, sentence in (([], 'no rows'), ([['', 'a', 1], ['x', 'b', 2]], "column 'u', row 1"), ([['x', 'a', ''], ['x', 'b', 2]], 'the rating is missing'),
                           ([['x', 'a', 'inf'], ['x', 'b', 2]], 'too large')):
        write_csv(tmp_path / 'e.csv', ['u', 'i', 'r'], rows)
        refused(3, sentence, 'chain', read + ' --param types=r:real', learn, cwd=tmp_path)
    write_csv(tmp_path / 'e.csv', ['u', 'i', 'r'], [['x', 'a', 1], ['y', 'b', 1]])
    refused(2, 'adjusted_cosine compares opinions', 'chain', read, learn + ' --param similarity=adjusted_cosine --param implicit=true', cwd=tmp_path)
    ok('chain', read, learn, 'recommend --in model=m --out table=./r.csv', cwd=tmp_path)
    assert read_csv(tmp_path / 'r.csv') == []  # nobody has anything in common
    refused(2, 'take one of als or item_cf', 'chain', read, 'kmeans --in train=t --param feature_cols=r --param k=1 --out model=m',
            'recommend --in model=m --out table=p', cwd=tmp_path)


def test_many_items_that_few_rated_are_not_compared_with_all(tmp_path):
    rows = [f'u{k // 3},i{k},{k % 5 + 1}' for k in range(60000)]
    (tmp_path / 'in.csv').write_text('u,i,r\n' + '\n'.join(rows) + '\n')
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ok('chain', 'read_csv --param path=./in.csv --out table=t',
       'item_cf --in train=t --param user_col=u --param item_col=i --param rate_col=r --out model=./m.model', cwd=tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 2  # 60,000 times 60,000: 5 s and more


def test_item_cf_does_not_depend_on_threads_where_all_items_share_users(tmp_path):
    rng = np.random.default_rng(4)
    rows = [f'{u},{i},{r}' for u, i, r in zip(rng.integers(0, 500, 40000), rng.integers(0, 300, 40000), rng.integers(1, 6, 40000))]
    (tmp_path / 'in.csv').write_text('u,i,r\n' + '\n'.join(rows) + '\n')
    models = set()
    for threads in (1, 2, 8, 8):
        ok('--threads', str(threads), 'chain', 'read_csv --param path=./in.csv --out table=t',
           'item_cf --in train=t --param user_col=u --param item_col=i --param rate_col=r --out model=./m.model', cwd=tmp_path)
        models.add((tmp_path / 'm.model').read_bytes())
    assert len(models) == 1
