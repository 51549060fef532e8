"""Server and helper are killed at random while jobs run: no job is lost, no exit code is wrong, no line of output
is missing or there twice."""
import fcntl
import os
import random
import signal
import threading
import time

import requests

from conftest import FINAL, wait_for

KILLS = 20
LINES = 40
JOBS = '/api/v1/projects/demo/jobs'


def body(strata, number):
    """About two seconds of numbered lines, then a code of its own. Every fourth fails once and is tried again."""
    text = (f'i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo {number}.$STRATA_ATTEMPT.$i; sleep 0.05; done; '
            f'[ $STRATA_ATTEMPT = 1 ] && [ {number % 4} = 0 ] && exit 99; exit {number % 50}')
    return {'name': f'chaos-{number}', 'image': strata.busybox, 'command': ['sh', '-c', text],
            'retries': 1 if number % 4 == 0 else 0, 'resources': {'cpu': '50m', 'memory': '32Mi'}}


class Submitter(threading.Thread):
    """Keeps submitting. What was answered with 202 is kept in `accepted`: that must not be lost."""

    def __init__(self, strata):
        super().__init__(daemon=True)
        self.strata, self.accepted, self.stopping = strata, {}, threading.Event()
        self.problems = []

    def run(self):
        number = 0
        while not self.stopping.is_set():
            number += 1
            try:
                r = self.strata.api('POST', JOBS, json=body(self.strata, number), timeout=10)
            except requests.RequestException:
                self.stopping.wait(0.1)  # the server is down: whether this job exists nobody promised
                continue
            if r.status_code == 202:
                self.accepted[r.json()['id']] = number
            elif r.status_code < 500:
                self.problems.append(r.text)
            self.stopping.wait(0.3)


def ask_until_answered(strata, path, **params):
    def answer():
        try:
            r = strata.api('GET', path, params=params, timeout=10)
            return r if r.status_code == 200 else None
        except requests.RequestException:
            return None
    return wait_for(answer, 60, path)


def kill_one(strata, dice):
    """SIGKILL to the server, the helper, or both; then waits for the next server."""
    def both():
        pids = strata.pids()
        return pids if 'server' in pids and 'helper' in pids else None
    before = wait_for(both, 60, 'server and helper run')
    victims = dice.choice((['server'], ['helper'], ['server', 'helper']))
    for name in victims:
        try:
            os.kill(before[name], signal.SIGKILL)
        except ProcessLookupError:
            pass  # the other one's end was its end
    wait_for(lambda: (both() or before)['server'] != before['server'], 60, 'a new server')
    try:
        strata.wait_ready(60)
    except AssertionError:
        print(strata.pids(), strata.log()[-6000:])
        raise


def kill_all(strata):
    """Supervisor, server and helper at once; what they had begun (a shim) lets go of the state directory."""
    strata.kill()

    def free():
        with open(strata.state / 'lock') as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True
    wait_for(free, 30, 'the state directory is free')


def check(strata, job_id, number):
    job = ask_until_answered(strata, f'{JOBS}/{job_id}').json()
    attempts = 2 if number % 4 == 0 else 1
    assert job['state'] == ('succeeded' if number % 50 == 0 else 'failed'), job
    assert job['exit']['kind'] == 'exit' and job['exit']['code'] == number % 50, job
    assert job['attempt'] == attempts, job
    for attempt in range(1, attempts + 1):
        log = ask_until_answered(strata, f'{JOBS}/{job_id}/log', attempt=attempt).text
        assert log == ''.join(f'{number}.{attempt}.{i}\n' for i in range(1, LINES + 1)), (job, log)
    times = [h['at'] for h in job['history']]
    assert times == sorted(times), job['history']


def finish(strata, submitter):
    submitter.stopping.set()
    submitter.join(30)
    assert not submitter.problems, submitter.problems
    assert len(submitter.accepted) > KILLS

    def all_done():
        queue = ask_until_answered(strata, '/api/v1/queue').json()
        return queue == {'queued': 0, 'running': 0}
    wait_for(all_done, 120, 'all jobs ended')
    for job_id, number in submitter.accepted.items():
        check(strata, job_id, number)
    items, after = [], None
    while True:
        page = ask_until_answered(strata, JOBS, limit=1000, **({'after': after} if after else {})).json()
        items += page['items']
        after = page['next']
        if after is None:
            break
    assert all(j['state'] in FINAL for j in items)
    assert set(submitter.accepted) <= {j['id'] for j in items}
    wait_for(lambda: not list(strata.state.glob('jobs/*/exit')), 30, 'every container is cleaned up')


def test_kills_at_random_lose_no_job_no_code_and_no_line(own_strata):
    strata = own_strata().start()
    assert strata.busybox
    seed = int(os.environ.get('STRATA_CHAOS_SEED', time.time_ns() % 100000))
    print(f'STRATA_CHAOS_SEED={seed}')
    dice = random.Random(seed)
    submitter = Submitter(strata)
    submitter.start()
    for _ in range(KILLS):
        threading.Event().wait(dice.uniform(0.0, 0.8))  # when the kill comes is the point of it
        kill_one(strata, dice)
    finish(strata, submitter)
    assert strata.stop() == 0


def test_everything_killed_at_once_comes_back_the_same(own_strata):
    strata = own_strata().start()
    assert strata.busybox
    submitter = Submitter(strata)
    submitter.start()
    for wait in (0.5, 1.3, 2.1):
        threading.Event().wait(wait)
        kill_all(strata)
        strata.start()
    wait_for(lambda: len(submitter.accepted) > KILLS, 60, 'enough jobs')
    finish(strata, submitter)
    assert strata.stop() == 0
